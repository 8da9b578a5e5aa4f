package dev.nibble.converter;

import dev.nibble.converter.internal.ConversionRun;
import java.io.IOException;

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
    return new ConversionRun(plan, listener, cancellation).execute();
  }
}
