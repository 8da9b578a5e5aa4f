package dev.nibble.converter.internal;

import dev.nibble.converter.Cancellation;
import dev.nibble.converter.ConversionCancelledException;
import dev.nibble.converter.ConversionException;
import dev.nibble.converter.ConversionPlan;
import dev.nibble.converter.ConversionReport;
import dev.nibble.converter.ConversionReport.TensorResult;
import dev.nibble.converter.MemoryBudget;
import dev.nibble.converter.ProgressListener;
import dev.nibble.converter.ProgressListener.Stage;
import dev.nibble.converter.TensorPlan;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.CheckpointFile;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.io.PendingOutput;
import dev.nibble.formats.safetensors.SafetensorsCheckpoint;
import dev.nibble.formats.safetensors.SafetensorsWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/// One execution of a plan: opens the source again, writes every output file under a temporary
/// name, and commits.
public final class ConversionRun {
  private final ConversionPlan plan;
  private final ProgressListener listener;
  private final Cancellation cancellation;
  private final MemoryBudget budget;
  private final Map<String, QuantizeJob.Result> results = new ConcurrentHashMap<>();

  public ConversionRun(ConversionPlan plan, ProgressListener listener, Cancellation cancellation) {
    this.plan = plan;
    this.listener = listener;
    this.cancellation = cancellation;
    this.budget = new MemoryBudget(plan.request().memoryBytes(), plan.request().threads());
  }

  /// Runs the plan to its end. Call once.
  public ConversionReport execute() throws IOException {
    long started = System.nanoTime();
    try (Checkpoint source =
        SafetensorsCheckpoint.open(plan.sources().stream().map(CheckpointFile::path).toList())) {
      requireUnchanged(source);
      List<Path> outputs;
      try (PendingOutput output =
          plan.directory()
              ? PendingOutput.directory(plan.target(), plan.request().force())
              : PendingOutput.file(plan.target(), plan.request().force())) {
        outputs = write(source, output);
        listener.stage(Stage.COMMITTING);
        requireNotCancelled();
        output.commit();
      }
      listener.stage(Stage.DONE);
      return report(outputs, System.nanoTime() - started);
    }
  }

  /// A plan is made from headers; the data must still be what they described.
  private void requireUnchanged(Checkpoint source) {
    for (int i = 0; i < plan.sources().size(); i++) {
      if (!plan.sources().get(i).equals(source.files().get(i))) {
        throw changed(plan.sources().get(i).path());
      }
    }
    for (TensorPlan tensor : plan.tensors()) {
      TensorInfo planned = tensor.source();
      if (!planned.equals(source.tensors().get(planned.name()))) {
        throw changed(plan.sources().get(planned.file()).path());
      }
    }
  }

  private static ConversionException changed(Path file) {
    return new ConversionException(
        file
            + " has changed since the conversion was planned: run it again when nothing writes to it");
  }

  private void requireNotCancelled() {
    if (cancellation.isCancelled()) {
      throw new ConversionCancelledException();
    }
  }

  private List<Path> write(Checkpoint source, PendingOutput output) throws IOException {
    listener.stage(Stage.HASHING);
    Provenance provenance = Provenance.of(plan, source);
    List<OutputFile> files = outputFiles();
    List<ShardPlan> shards = new ArrayList<>();
    for (OutputFile file : files) {
      shards.add(ShardPlan.of(file, provenance.metadata(source.metadata(), file)));
    }
    Path folder = plan.directory() ? output.path() : output.path().resolveSibling(".");
    requireSpace(folder, shards);
    listener.stage(Stage.CONVERTING);
    writeShards(source, output, folder, shards);
    List<Path> outputs = new ArrayList<>();
    for (OutputFile file : files) {
      outputs.add(plan.directory() ? plan.target().resolve(file.name()) : plan.target());
    }
    if (plan.directory()) {
      outputs.addAll(new DirectoryFiles(plan).write(output.path(), shards, tensorBytes()));
    }
    return outputs;
  }

  private List<OutputFile> outputFiles() {
    return plan.directory()
        ? OutputFile.shards(plan.baseName(), plan.tensors(), plan.request().maxShardBytes())
        : List.of(new OutputFile(String.valueOf(plan.target().getFileName()), plan.tensors()));
  }

  /// Fails before hours of work, not after them.
  private void requireSpace(Path folder, List<ShardPlan> shards) throws IOException {
    long needed = shards.stream().mapToLong(shard -> shard.layout().maxFileSize()).sum();
    long free = Files.getFileStore(folder).getUsableSpace();
    if (free < needed) {
      throw new ConversionException(
          "%s needs %,d bytes and its disk has %,d free: free some space, or write elsewhere with -o"
              .formatted(plan.target(), needed, free));
    }
  }

  private void writeShards(
      Checkpoint source, PendingOutput output, Path folder, List<ShardPlan> shards)
      throws IOException {
    List<SafetensorsWriter> writers = new ArrayList<>();
    try (StatisticsPool statistics = new StatisticsPool(budget.statisticsBytes(), folder)) {
      var context =
          new QuantizeJob.Context(
              statistics,
              plan.request().allowNonFinite(),
              result -> results.put(result.plan().source().name(), result));
      Jobs jobs = new Jobs(source, budget, context);
      List<Job> all = new ArrayList<>();
      for (ShardPlan shard : shards) {
        String name = shard.file().name();
        Path file = plan.directory() ? output.path().resolve(name) : output.path();
        Path shown = plan.directory() ? plan.target().resolve(name) : plan.target();
        SafetensorsWriter writer = SafetensorsWriter.create(file, shard.layout(), shown);
        writers.add(writer);
        shard.file().tensors().forEach(tensor -> all.add(jobs.job(tensor, writer)));
      }
      new SlicePipeline(plan.request().threads(), listener, cancellation).run(all);
      for (SafetensorsWriter writer : writers) {
        requireNotCancelled();
        writer.finish();
      }
    } finally {
      for (SafetensorsWriter writer : writers) {
        writer.close();
      }
    }
  }

  private long tensorBytes() {
    return tensorResults().stream().mapToLong(TensorResult::bytesOut).sum();
  }

  private List<TensorResult> tensorResults() {
    List<TensorResult> tensors = new ArrayList<>();
    for (TensorPlan tensor : plan.tensors()) {
      QuantizeJob.Result result = results.get(tensor.source().name());
      tensors.add(
          result == null
              ? new TensorResult(tensor, tensor.bytesOut(), Optional.empty())
              : new TensorResult(tensor, result.bytesOut(), Optional.of(result.error())));
    }
    return tensors;
  }

  private ConversionReport report(List<Path> outputs, long nanos) throws IOException {
    long written = 0;
    for (Path output : outputs) {
      written += Files.size(output);
    }
    return new ConversionReport(plan, tensorResults(), outputs, plan.bytesIn(), written, nanos);
  }
}
