package dev.nibble.converter.internal;

import dev.nibble.converter.Cancellation;
import dev.nibble.converter.ConversionCancelledException;
import dev.nibble.converter.ConversionPlan;
import dev.nibble.converter.ConversionReport;
import dev.nibble.converter.ProgressListener;
import dev.nibble.converter.ProgressListener.Stage;
import dev.nibble.formats.io.PendingOutput;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// One execution of the plans for one source: writes every output under a temporary name, and
/// commits them all at the end.
public final class ConversionRun {
  private final List<ConversionPlan> plans;
  private final ProgressListener listener;
  private final Cancellation cancellation;

  /// @param plans for the same source
  public ConversionRun(
      List<ConversionPlan> plans, ProgressListener listener, Cancellation cancellation) {
    this.plans = List.copyOf(plans);
    this.listener = listener;
    this.cancellation = cancellation;
  }

  /// Runs the plans to their end. Call once.
  ///
  /// @return a report for each plan
  public List<ConversionReport> execute() throws IOException {
    List<PendingOutput> pending = new ArrayList<>();
    try (SourcePass pass = new SourcePass(plans, listener, cancellation)) {
      List<Path> places = new ArrayList<>();
      for (ConversionPlan plan : plans) {
        PendingOutput output = pending(plan);
        pending.add(output);
        places.add(output.path());
      }
      pass.fill(places);
      listener.stage(Stage.COMMITTING);
      for (PendingOutput output : pending) {
        if (cancellation.isCancelled()) {
          throw new ConversionCancelledException();
        }
        output.commit();
      }
      listener.stage(Stage.DONE);
      List<ConversionReport> reports = new ArrayList<>();
      for (ConversionPlan plan : plans) {
        reports.add(pass.report(plan));
      }
      return reports;
    } finally {
      // The first made the folders that the others lie in.
      pending.reversed().forEach(PendingOutput::close);
    }
  }

  // Closed by execute(), whatever happens.
  @SuppressWarnings("MustBeClosedChecker")
  private static PendingOutput pending(ConversionPlan plan) {
    boolean force = plan.request().force();
    return plan.directory()
        ? PendingOutput.directory(plan.target(), force)
        : PendingOutput.file(plan.target(), force);
  }
}
