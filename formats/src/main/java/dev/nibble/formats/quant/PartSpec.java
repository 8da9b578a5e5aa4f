package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;

/// Type and shape of one part: known from the weight's shape, before any data is read.
public record PartSpec(Part part, DType dtype, Shape shape) {
  public long byteSize() {
    return dtype.byteSize(shape.elements());
  }
}
