package dev.nibble.converter.internal;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.converter.Cancellation;
import dev.nibble.converter.ConversionCancelledException;
import dev.nibble.converter.ConversionException;
import dev.nibble.converter.DequantizeReport;
import dev.nibble.converter.DequantizeRequest;
import dev.nibble.converter.MemoryBudget;
import dev.nibble.converter.ProgressListener;
import dev.nibble.converter.ProgressListener.Stage;
import dev.nibble.converter.SourceTensor;
import dev.nibble.converter.TensorPlan;
import dev.nibble.formats.CheckpointFile;
import dev.nibble.formats.CheckpointWriter;
import dev.nibble.formats.DType;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.diffusers.ModelDirectory;
import dev.nibble.formats.diffusers.QuantizationConfig;
import dev.nibble.formats.io.PendingOutput;
import dev.nibble.formats.quant.storage.ComfyStorage;
import dev.nibble.formats.quant.storage.LogicalTensor;
import dev.nibble.formats.safetensors.ShardIndex;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.stream.Collectors;

/// One dequantization: the counterpart of {@link ConversionRun}.
public final class DequantizeRun {
  private static final String SUFFIX = ".safetensors";
  private static final String INDEX_SUFFIX = ".safetensors.index.json";
  private static final String REASON = "quantized";

  private final DequantizeRequest request;
  private final ProgressListener listener;
  private final Cancellation cancellation;
  private final MemoryBudget budget;

  public DequantizeRun(
      DequantizeRequest request, ProgressListener listener, Cancellation cancellation) {
    this.request = request;
    this.listener = listener;
    this.cancellation = cancellation;
    this.budget = new MemoryBudget(request.memoryBytes(), request.threads());
  }

  /// Runs to the end. Call once.
  public DequantizeReport execute() throws IOException {
    long started = System.nanoTime();
    try (OpenModel source = OpenModel.open(request.source())) {
      List<TensorPlan> plans = plan(source);
      boolean directory = isDirectory(source);
      Path target = request.output().orElseGet(() -> beside(directory));
      List<Path> inputs = inputs(source);
      OutputRules.requireApart(target, inputs);
      if (directory) {
        OutputRules.requireReplaceable(target, baseName(source), others(source));
      }
      List<Path> outputs;
      try (PendingOutput output =
          directory
              ? PendingOutput.directory(target, request.force())
              : PendingOutput.file(target, request.force())) {
        outputs = new Filling(source, output, target, directory).fill(plans);
        listener.stage(Stage.COMMITTING);
        requireNotCancelled();
        output.commit();
      }
      listener.stage(Stage.DONE);
      return new DequantizeReport(
          source.checkpoint().files().stream().map(CheckpointFile::path).toList(),
          outputs,
          target,
          tensors(source, plans),
          System.nanoTime() - started);
    }
  }

  private List<Path> inputs(OpenModel source) {
    List<Path> inputs = new ArrayList<>();
    inputs.add(request.source());
    source.checkpoint().files().forEach(file -> inputs.add(file.path()));
    return inputs;
  }

  private static String baseName(OpenModel source) {
    return source.directory().map(ModelDirectory.Model::baseName).orElse("model");
  }

  private static Set<String> others(OpenModel source) {
    return source.directory().map(ModelDirectory.Model::others).orElse(List.of()).stream()
        .map(file -> String.valueOf(file.getFileName()))
        .collect(Collectors.toSet());
  }

  /// What becomes of each tensor: decoding counts as a cast.
  private List<TensorPlan> plan(OpenModel source) {
    List<TensorPlan> plans = new ArrayList<>();
    boolean found = false;
    for (LogicalTensor logical : source.tensors().values()) {
      switch (logical) {
        case LogicalTensor.Dense dense when isFp8(dense.info()) -> {
          plans.add(
              new TensorPlan.Cast(
                  SourceTensor.of(dense), request.dtype().orElse(DType.BF16), "8-bit floats"));
          found = true;
        }
        case LogicalTensor.Dense dense ->
            plans.add(new TensorPlan.Keep(SourceTensor.of(dense), "not quantized"));
        case LogicalTensor.Quantized quantized -> {
          DType dtype = request.dtype().orElse(quantized.tensor().dtype());
          plans.add(new TensorPlan.Cast(SourceTensor.of(quantized, dtype), dtype, REASON));
          found = true;
        }
      }
    }
    if (!found) {
      throw new ConversionException(
          request.source() + ": holds no quantized weight, there is nothing to dequantize");
    }
    return plans;
  }

  /// Whether a tensor was cast to an 8-bit float without a scale, which no model computes in.
  private static boolean isFp8(TensorInfo info) {
    return info.dtype() == DType.F8_E4M3 || info.dtype() == DType.F8_E5M2;
  }

  private List<DequantizeReport.Tensor> tensors(OpenModel source, List<TensorPlan> plans) {
    List<DequantizeReport.Tensor> tensors = new ArrayList<>();
    for (TensorPlan plan : plans) {
      SourceTensor info = plan.source();
      boolean decoded = plan instanceof TensorPlan.Cast;
      String scheme =
          source.tensors().get(info.name()) instanceof LogicalTensor.Quantized quantized
              ? quantized.tensor().scheme().id()
              : "none";
      DType dtype = decoded ? ((TensorPlan.Cast) plan).target() : info.dtype();
      tensors.add(
          new DequantizeReport.Tensor(
              info.name(), info.shape(), scheme, dtype, info.byteSize(), plan.bytesOut()));
    }
    return tensors;
  }

  private boolean isDirectory(OpenModel source) {
    return switch (request.form()) {
      case FILE -> false;
      case DIRECTORY -> true;
      case AUTO -> source.directory().isPresent();
    };
  }

  private Path beside(boolean directory) {
    Path source = request.source().toAbsolutePath().normalize();
    String name = String.valueOf(source.getFileName());
    for (String suffix : List.of(INDEX_SUFFIX, SUFFIX, ".gguf")) {
      if (name.endsWith(suffix)) {
        name = name.substring(0, name.length() - suffix.length());
      }
    }
    return request.source().resolveSibling(name + "-dequantized" + (directory ? "" : SUFFIX));
  }

  private void requireNotCancelled() {
    if (cancellation.isCancelled()) {
      throw new ConversionCancelledException();
    }
  }

  /// Fills the pending output.
  private final class Filling {
    private final OpenModel source;
    private final PendingOutput output;
    private final Path target;
    private final boolean directory;
    private final List<Path> outputs = new ArrayList<>();

    Filling(OpenModel source, PendingOutput output, Path target, boolean directory) {
      this.source = source;
      this.output = output;
      this.target = target;
      this.directory = directory;
    }

    List<Path> fill(List<TensorPlan> plans) throws IOException {
      String base = baseName(source);
      List<OutputFile> files =
          directory
              ? OutputFile.shards(base, plans, request.maxShardBytes())
              : List.of(new OutputFile(String.valueOf(target.getFileName()), plans));
      Map<String, String> metadata = new LinkedHashMap<>(Provenance.kept(source.checkpoint()));
      metadata.remove(Provenance.KEY); // these tell of quantized tensors
      metadata.remove(ComfyStorage.METADATA);
      metadata.putIfAbsent("format", "pt");
      List<ShardPlan> shards = new ArrayList<>();
      files.forEach(file -> shards.add(ShardPlan.of(file, metadata)));
      listener.stage(Stage.CONVERTING);
      writeShards(shards);
      if (directory) {
        writeOthers(base, shards, plans.stream().mapToLong(TensorPlan::bytesOut).sum());
      }
      return outputs;
    }

    private void writeShards(List<ShardPlan> shards) throws IOException {
      List<CheckpointWriter> writers = new ArrayList<>();
      try {
        List<Job> jobs = new ArrayList<>();
        for (ShardPlan shard : shards) {
          String name = shard.file().name();
          Path file = directory ? output.path().resolve(name) : output.path();
          Path shown = directory ? target.resolve(name) : target;
          CheckpointWriter writer = shard.layout().create(file, shown);
          writers.add(writer);
          outputs.add(shown);
          shard.file().tensors().forEach(plan -> jobs.add(job(plan, writer)));
        }
        new SlicePipeline(request.threads(), listener, cancellation).run(jobs);
        for (CheckpointWriter writer : writers) {
          requireNotCancelled();
          writer.finish();
        }
      } finally {
        for (CheckpointWriter writer : writers) {
          writer.close();
        }
      }
    }

    private Job job(TensorPlan plan, CheckpointWriter writer) {
      boolean rounded =
          plan instanceof TensorPlan.Cast cast && cast.source().dtype() != cast.target();
      Sink sink =
          rounded
              // 8-bit floats are the only ones that are cast here, and fit every type.
              ? new CastSink((TensorPlan.Cast) plan, writer, Optional.empty())
              : new CopySink(plan.source(), writer);
      return new TensorJob(source, plan.source(), List.of(sink), budget.sliceBytes());
    }

    private void writeOthers(String base, List<ShardPlan> shards, long bytes) throws IOException {
      Optional<ObjectNode> config = source.config().map(ObjectNode::deepCopy);
      if (config.isPresent()) {
        config.get().remove("quantization_config");
        String text =
            new ObjectMapper().writerWithDefaultPrettyPrinter().writeValueAsString(config.get());
        Files.writeString(output.path().resolve("config.json"), text + "\n");
        outputs.add(target.resolve("config.json"));
      }
      for (Path other : source.directory().map(ModelDirectory.Model::others).orElse(List.of())) {
        Path name = other.getFileName();
        if (name.toString().equals(QuantizationConfig.GPTQ_FILE)) {
          continue;
        }
        Files.copy(other, output.path().resolve(name));
        outputs.add(target.resolve(name));
      }
      if (shards.size() > 1) {
        Map<String, String> index = new LinkedHashMap<>();
        for (ShardPlan shard : shards) {
          shard.tensorNames().forEach(name -> index.put(name, shard.file().name()));
        }
        String name = base + INDEX_SUFFIX;
        new ShardIndex(index, OptionalLong.of(bytes)).write(output.path().resolve(name));
        outputs.add(target.resolve(name));
      }
    }
  }
}
