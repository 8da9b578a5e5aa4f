package dev.nibble.runtime.tensor;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.QuantizedTensor;
import java.lang.foreign.MemorySegment;

/// The bytes of a weight matrix as a checkpoint stores them. Borrowed: they must outlive the {@link
/// WeightStore} that uses them.
public sealed interface WeightSource {
  /// `[out features, in features]`.
  Shape shape();

  /// Plain numbers.
  ///
  /// @param data row-major elements, little-endian
  /// @param dtype F64, F32, F16, BF16, F8_E4M3 or F8_E5M2
  /// @param shape two axes
  record Dense(MemorySegment data, DType dtype, Shape shape) implements WeightSource {}

  /// A weight in any scheme that formats can decode.
  record Quantized(QuantizedTensor tensor) implements WeightSource {
    @Override
    public Shape shape() {
      return tensor.shape();
    }
  }
}
