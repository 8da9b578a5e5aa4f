package dev.nibble.converter.internal;

import dev.nibble.converter.ConversionException;
import dev.nibble.converter.ConversionPlan;
import dev.nibble.converter.ConversionReport;
import dev.nibble.converter.ConversionReport.TensorResult;
import dev.nibble.converter.GgufFile;
import dev.nibble.converter.GgufMix;
import dev.nibble.converter.TensorPlan;
import dev.nibble.formats.CheckpointWriter;
import dev.nibble.formats.OpenModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/// The files of one plan, written where they are out of sight until they are complete.
final class PlanOutput implements AutoCloseable {
  private final ConversionPlan plan;
  private final Path place;
  private final OpenModel source;
  private final List<ShardPlan> shards = new ArrayList<>();
  private final List<CheckpointWriter> writers = new ArrayList<>();
  private final Map<String, QuantizeSink.Result> results = new ConcurrentHashMap<>();
  private @Nullable Calibrator calibrator;

  /// Lays the files out; writes nothing yet.
  ///
  /// @param place an empty directory for the files of a directory, else the file itself
  PlanOutput(ConversionPlan plan, Path place, OpenModel source) throws IOException {
    this.plan = plan;
    this.place = place;
    this.source = source;
    Provenance provenance = Provenance.of(plan, source.checkpoint());
    for (OutputFile file : files()) {
      shards.add(
          plan.gguf().isPresent()
              ? ShardPlan.gguf(file, plan.gguf().get(), provenance.ggufMetadata(file))
              : ShardPlan.of(
                  file, provenance.metadata(Provenance.kept(source.checkpoint()), file)));
    }
  }

  private List<OutputFile> files() {
    return plan.directory()
        ? OutputFile.shards(plan.baseName(), plan.tensors(), plan.request().maxShardBytes())
        : List.of(new OutputFile(String.valueOf(plan.target().getFileName()), plan.tensors()));
  }

  ConversionPlan plan() {
    return plan;
  }

  /// Where a scratch file may lie.
  Path folder() {
    return plan.directory() ? place : place.resolveSibling(".");
  }

  /// Fails before hours of work, not after them.
  ///
  /// @param others bytes that other outputs of the run will take on the same disk
  /// @return bytes that this one will take
  long requireSpace(long others) throws IOException {
    long needed = shards.stream().mapToLong(shard -> shard.layout().maxFileSize()).sum();
    long free = Files.getFileStore(folder()).getUsableSpace();
    if (free < needed + others) {
      throw new ConversionException(
          "%s needs %,d bytes and its disk has %,d free: free some space, or write elsewhere with -o"
              .formatted(plan.target(), needed, Math.max(0, free - others)));
    }
    return needed;
  }

  /// Creates the weight files, and says what is to be done with each tensor.
  ///
  /// @param watch is told of searches that come before, and may throw to stop
  void open(StatisticsPool statistics, Jobs jobs, InputScales.Watch watch) throws IOException {
    Optional<Calibrator> calibration = calibrator(watch);
    var context =
        new QuantizeSink.Context(
            statistics,
            plan.request().allowNonFinite(),
            plan.gguf().flatMap(GgufFile::imatrix),
            calibration,
            result -> results.put(result.plan().source().name(), result));
    for (ShardPlan shard : shards) {
      String name = shard.file().name();
      Path file = plan.directory() ? place.resolve(name) : place;
      CheckpointWriter writer = shard.layout().create(file, shown(name));
      writers.add(writer);
      for (TensorPlan tensor : shard.file().tensors()) {
        jobs.add(
            tensor.source(),
            switch (tensor) {
              case TensorPlan.Keep keep -> new CopySink(keep.source(), writer);
              case TensorPlan.Cast cast ->
                  cast.source().dtype() == cast.target()
                      ? new CopySink(cast.source(), writer)
                      : new CastSink(cast, writer, overflow(cast));
              case TensorPlan.Rescale scaled ->
                  new RescaleSink(
                      scaled,
                      writer,
                      calibration.orElseThrow().scales().edit(scaled.source().name()));
              case TensorPlan.Quantize weight ->
                  new QuantizeSink(source.checkpoint(), weight, writer, context);
            });
      }
    }
  }

  // Closed with the output.
  private Optional<Calibrator> calibrator(InputScales.Watch watch) throws IOException {
    if (plan.request().calibration().isPresent()) {
      calibrator = Calibrator.open(plan.request().calibration().get(), plan, source, watch);
    }
    return Optional.ofNullable(calibrator);
  }

  private Optional<CastSink.Overflow> overflow(TensorPlan.Cast cast) {
    if (plan.request().allowNonFinite()) {
      return Optional.empty();
    }
    Path file = source.checkpoint().files().get(cast.source().file()).path();
    return Optional.of(new CastSink.Overflow(file, overflowCure()));
  }

  private String overflowCure() {
    boolean plain = plan.request().gguf().flatMap(GgufMix::plain).isPresent();
    if (plan.gguf().isEmpty()) {
      return "leave out --dtype, or pass --allow-non-finite to store infinity";
    }
    return plain
        ? "take --gguf BF16 or F32, or pass --allow-non-finite to store infinity"
        : "make a file with --gguf BF16 first, and quantize that one";
  }

  private Path shown(String name) {
    return plan.directory() ? plan.target().resolve(name) : plan.target();
  }

  /// Completes one weight file after the other, then writes the rest of a directory.
  ///
  /// @param before runs before each step that may take long; it may throw to stop
  void finish(Runnable before) throws IOException {
    for (CheckpointWriter writer : writers) {
      before.run();
      writer.finish();
    }
    if (plan.directory()) {
      long tensorBytes = tensors().stream().mapToLong(TensorResult::bytesOut).sum();
      new DirectoryFiles(plan).write(place, shards, tensorBytes);
    }
  }

  private List<TensorResult> tensors() {
    List<TensorResult> tensors = new ArrayList<>();
    for (TensorPlan tensor : plan.tensors()) {
      QuantizeSink.Result result = results.get(tensor.source().name());
      tensors.add(
          result == null
              ? new TensorResult(tensor, tensor.bytesOut(), Optional.empty())
              : new TensorResult(
                  tensor, result.bytesOut(), Optional.of(result.error()), result.calibration()));
    }
    return tensors;
  }

  /// What came out, once the files have their names.
  ConversionReport report(long nanos) throws IOException {
    List<Path> paths = new ArrayList<>();
    for (ShardPlan shard : shards) {
      paths.add(shown(shard.file().name()));
    }
    if (plan.directory()) {
      paths.addAll(new DirectoryFiles(plan).paths(shards));
    }
    long written = 0;
    for (Path path : paths) {
      written += Files.size(path);
    }
    return new ConversionReport(plan, tensors(), paths, plan.bytesIn(), written, nanos);
  }

  @Override
  public void close() throws IOException {
    try {
      for (CheckpointWriter writer : writers) {
        writer.close();
      }
    } finally {
      Calibrator open = calibrator;
      if (open != null) {
        open.close();
      }
    }
  }
}
