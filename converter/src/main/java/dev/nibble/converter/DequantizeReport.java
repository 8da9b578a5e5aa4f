package dev.nibble.converter;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import java.nio.file.Path;
import java.util.List;

/// What a dequantization did.
///
/// @param inputs files read
/// @param outputs files written
/// @param target the file or directory that they make up
/// @param tensors what became of each tensor, in file order
/// @param nanos wall time
public record DequantizeReport(
    List<Path> inputs, List<Path> outputs, Path target, List<Tensor> tensors, long nanos) {

  /// One tensor.
  ///
  /// @param scheme the scheme it was decoded from, or `none`
  /// @param dtype its dtype in the output
  /// @param bytesIn its bytes in the source, statistics included
  /// @param bytesOut its bytes in the output
  public record Tensor(
      String name, Shape shape, String scheme, DType dtype, long bytesIn, long bytesOut) {
    /// Whether it was quantized.
    public boolean decoded() {
      return !scheme.equals("none");
    }
  }

  public DequantizeReport {
    inputs = List.copyOf(inputs);
    outputs = List.copyOf(outputs);
    tensors = List.copyOf(tensors);
  }
}
