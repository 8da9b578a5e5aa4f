package dev.nibble.converter.internal;

import dev.nibble.converter.Cancellation;
import dev.nibble.converter.ConversionCancelledException;
import dev.nibble.converter.ConversionException;
import dev.nibble.converter.ConversionPlan;
import dev.nibble.converter.ConversionReport;
import dev.nibble.converter.ConversionRequest;
import dev.nibble.converter.MemoryBudget;
import dev.nibble.converter.ProgressListener;
import dev.nibble.converter.ProgressListener.Stage;
import dev.nibble.converter.SourceTensor;
import dev.nibble.converter.TensorPlan;
import dev.nibble.formats.CheckpointFile;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.TensorInfo;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// Reads one source once and fills the outputs of all plans that were made for it.
final class SourcePass implements AutoCloseable {
  private final List<ConversionPlan> plans;
  private final ProgressListener listener;
  private final Cancellation cancellation;
  private final OpenModel source;
  private final List<PlanOutput> outputs = new ArrayList<>();
  private final long started = System.nanoTime();

  /// Opens the source again, as it was planned.
  ///
  /// @param plans with one source
  /// @throws ConversionException if the source is another by now
  // The pass owns the source, and its close() closes it.
  @SuppressWarnings("MustBeClosedChecker")
  SourcePass(List<ConversionPlan> plans, ProgressListener listener, Cancellation cancellation)
      throws IOException {
    this.plans = List.copyOf(plans);
    this.listener = listener;
    this.cancellation = cancellation;
    ConversionRequest request = plans.getFirst().request();
    this.source = OpenModel.open(request.source(), request.config());
    try {
      plans.forEach(this::requireUnchanged);
    } catch (Throwable e) {
      source.close();
      throw e;
    }
  }

  /// A plan is made from headers; the data must still be what they described.
  private void requireUnchanged(ConversionPlan plan) {
    List<CheckpointFile> files = source.checkpoint().files();
    for (int i = 0; i < plan.sources().size(); i++) {
      if (i >= files.size() || !plan.sources().get(i).equals(files.get(i))) {
        throw changed(plan.sources().get(i).path());
      }
    }
    for (TensorPlan tensor : plan.tensors()) {
      for (SourceTensor.Piece piece : tensor.source().pieces()) {
        for (TensorInfo stored : piece.stored()) {
          if (!stored.equals(source.checkpoint().tensors().get(stored.name()))) {
            throw changed(plan.sources().get(stored.file()).path());
          }
        }
      }
    }
  }

  private static ConversionException changed(Path file) {
    return new ConversionException(
        file
            + " has changed since the conversion was planned: run it again when nothing writes to it");
  }

  /// Fills every output.
  ///
  /// @param places of each plan, the file or the empty directory to fill
  void fill(List<Path> places) throws IOException {
    listener.stage(Stage.HASHING);
    long needed = 0;
    for (int i = 0; i < plans.size(); i++) {
      PlanOutput output = new PlanOutput(plans.get(i), places.get(i), source);
      outputs.add(output);
      needed += output.requireSpace(needed);
    }
    ConversionRequest request = plans.getFirst().request();
    MemoryBudget budget = new MemoryBudget(request.memoryBytes(), request.threads());
    Path scratch = outputs.getFirst().folder();
    try (StatisticsPool statistics = new StatisticsPool(budget.statisticsBytes(), scratch)) {
      Jobs jobs = new Jobs(source, budget);
      for (PlanOutput output : outputs) {
        output.open(statistics, jobs, this::searching);
      }
      listener.stage(Stage.CONVERTING);
      new SlicePipeline(request.threads(), listener, cancellation).run(jobs.inFileOrder());
    }
    for (PlanOutput output : outputs) {
      output.finish(this::requireNotCancelled);
    }
  }

  private void searching(String module, int done, int total) {
    requireNotCancelled();
    listener.scale(module, done, total);
  }

  private void requireNotCancelled() {
    if (cancellation.isCancelled()) {
      throw new ConversionCancelledException();
    }
  }

  /// What came of a plan, once the files have their names; also after {@link #close()}.
  ConversionReport report(ConversionPlan plan) throws IOException {
    for (PlanOutput output : outputs) {
      if (output.plan().target().equals(plan.target())) {
        return output.report(System.nanoTime() - started);
      }
    }
    throw new IllegalArgumentException(plan.target() + " was not filled by this pass");
  }

  @Override
  public void close() throws IOException {
    try {
      for (PlanOutput output : outputs) {
        output.close();
      }
    } finally {
      source.close();
    }
  }
}
