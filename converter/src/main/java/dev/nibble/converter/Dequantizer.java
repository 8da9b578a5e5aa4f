package dev.nibble.converter;

import dev.nibble.converter.internal.DequantizeRun;
import java.io.IOException;

/// Turns quantized checkpoints back into plain ones. Stateless, like [Converter]; the output
/// appears whole or not at all.
public final class Dequantizer {
  /// Decodes every quantized weight of a checkpoint and copies the rest. Blocks until the output is
  /// complete and on disk.
  ///
  /// @throws ConversionCancelledException if it was cancelled; nothing is left of the output
  /// @throws dev.nibble.formats.NibbleException if the source can't be read, holds no quantized
  ///   weight, or the output exists
  /// @throws IOException if reading or writing fails; nothing is left of the output
  public DequantizeReport run(
      DequantizeRequest request, ProgressListener listener, Cancellation cancellation)
      throws IOException {
    return new DequantizeRun(request, listener, cancellation).execute();
  }
}
