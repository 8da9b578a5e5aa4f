package dev.nibble.formats.gguf;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.quant.ggml.GgmlType;
import java.util.ArrayList;
import java.util.List;

/// One tensor, as the header of a GGUF file describes it.
///
/// @param name its full name
/// @param type its type
/// @param shape outermost dimension first, the reverse of the file's order
/// @param offset first byte, from the start of the file
/// @param byteSize size in bytes, padding not counted
public record GgufTensor(String name, GgmlType type, Shape shape, long offset, long byteSize) {
  /// The tensor as it lies in the file: of a quantized type its bytes, U8 with those of a row as
  /// last dimension, as gguf-py shows them.
  ///
  /// @param modelShape the shape that the model gives a tensor that is not quantized
  TensorInfo stored(Shape modelShape) {
    return new TensorInfo(
        name, type.plain().orElse(DType.U8), storedShape(modelShape), 0, offset, byteSize);
  }

  private Shape storedShape(Shape modelShape) {
    if (!type.isQuantized()) {
      return modelShape;
    }
    List<Long> dims = new ArrayList<>(shape.dims());
    dims.set(dims.size() - 1, type.byteSize(shape.last()));
    return new Shape(dims);
  }
}
