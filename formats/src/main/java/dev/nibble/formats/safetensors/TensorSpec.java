package dev.nibble.formats.safetensors;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;

/// A tensor to be written, whose size is known beforehand.
///
/// @param name its full name
/// @param dtype element type
/// @param shape dimensions, row-major
public record TensorSpec(String name, DType dtype, Shape shape) {
  /// Size in bytes.
  ///
  /// @throws ArithmeticException if it overflows, or is not a whole number of bytes
  public long byteSize() {
    return dtype.byteSize(shape.elements());
  }
}
