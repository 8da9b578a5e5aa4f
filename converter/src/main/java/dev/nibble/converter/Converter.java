package dev.nibble.converter;

import dev.nibble.converter.internal.ConversionRun;
import dev.nibble.converter.internal.PipelineRun;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/// Quantizes checkpoints: first a plan, from headers alone, then its execution.
///
/// Has no state and prints nothing: one converter may serve many threads and conversions at once.
/// The output appears whole under its name or not at all; the source is never written to.
///
/// ```java
/// Converter converter = new Converter();
/// ConversionPlan plan =
///     converter.plan(
///         ConversionRequest.builder(Path.of("transformer"))
///             .scheme(QuantSchemes.parse("nf4"))
///             .skip("img_mod")
///             .build());
/// ConversionReport report =
///     converter.run(plan, ProgressListener.none(), new Cancellation());
/// ```
public final class Converter {
  /// Decides what to do with every tensor, without reading tensor data.
  ///
  /// @throws dev.nibble.formats.NibbleException if the source or the wish can't be converted; the
  ///   message is one line that says what and the cure
  /// @throws IOException if a file can't be read
  public ConversionPlan plan(ConversionRequest request) throws IOException {
    return new Planner().plan(request);
  }

  /// Carries out a plan. Blocks until the output is complete and on disk.
  ///
  /// @param listener hears of progress, from worker threads
  /// @param cancellation stops the run when cancelled
  /// @throws ConversionCancelledException if it was cancelled; nothing is left of the output
  /// @throws dev.nibble.formats.NibbleException if the data can't be converted as planned
  /// @throws IOException if reading or writing fails; nothing is left of the output
  public ConversionReport run(
      ConversionPlan plan, ProgressListener listener, Cancellation cancellation)
      throws IOException {
    return run(List.of(plan), listener, cancellation).getFirst();
  }

  /// Carries out several plans for one source, which is read once: each output is what its plan
  /// makes alone. They get their names one after the other at the end; should that fail half-way,
  /// those that have theirs are complete.
  ///
  /// @return a report for each plan
  /// @throws IllegalArgumentException if the plans are for different sources
  /// @throws ConversionException if outputs lie in each other
  public List<ConversionReport> run(
      List<ConversionPlan> plans, ProgressListener listener, Cancellation cancellation)
      throws IOException {
    if (plans.stream().map(ConversionPlan::sources).distinct().count() != 1) {
      throw new IllegalArgumentException("plans that run together have one source");
    }
    requireApart(plans.stream().map(ConversionPlan::target).toList());
    return new ConversionRun(plans, listener, cancellation).execute();
  }

  /// Decides what to do with every component of a pipeline's directory.
  ///
  /// @throws dev.nibble.formats.NibbleException if the source or the wish can't be converted
  /// @throws IOException if a file can't be read
  public PipelinePlan plan(PipelineRequest request) throws IOException {
    return PipelinePlanner.plan(request);
  }

  /// Carries out plans for one pipeline, each component of which is read once. The directories get
  /// their names at the end, one after the other.
  ///
  /// @return a report for each plan
  /// @throws IllegalArgumentException if the plans are for different pipelines
  /// @throws ConversionException if outputs lie in each other
  public List<PipelineReport> runPipelines(
      List<PipelinePlan> plans, ProgressListener listener, Cancellation cancellation)
      throws IOException {
    if (plans.stream().map(plan -> plan.request().each().source()).distinct().count() != 1) {
      throw new IllegalArgumentException("plans that run together have one source");
    }
    requireApart(plans.stream().map(PipelinePlan::target).toList());
    return new PipelineRun(plans, listener, cancellation).execute();
  }

  /// Outputs of one run may not lie in each other.
  private static void requireApart(List<Path> targets) {
    for (int i = 0; i < targets.size(); i++) {
      for (int j = 0; j < targets.size(); j++) {
        if (i != j && targets.get(i).startsWith(targets.get(j))) {
          throw new ConversionException(
              targets.get(i) + ": two outputs of one run in the same place: choose another -o");
        }
      }
    }
  }
}
