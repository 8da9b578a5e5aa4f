package dev.nibble.converter;

import dev.nibble.converter.internal.VerifyRun;
import java.io.IOException;
import java.nio.file.Path;

/// Compares two checkpoints tensor by tensor, quantized weights decoded. Stateless; memory is
/// bounded by the budget, whatever the size of the checkpoints.
public final class Verifier {
  /// Compares. Blocks until every tensor that both have has been read.
  ///
  /// @param first the original: errors are relative to it
  /// @param second what is judged
  /// @param budget threads and memory
  /// @throws ConversionCancelledException if it was cancelled
  /// @throws dev.nibble.formats.NibbleException if one of them can't be read
  /// @throws IOException if reading fails
  public VerifyReport compare(
      Path first,
      Path second,
      MemoryBudget budget,
      ProgressListener listener,
      Cancellation cancellation)
      throws IOException {
    return new VerifyRun(budget, listener, cancellation).compare(first, second);
  }
}
