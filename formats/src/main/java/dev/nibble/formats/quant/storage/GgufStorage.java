package dev.nibble.formats.quant.storage;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.GgmlBlock;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantScheme;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;

/// A weight in a GGUF file: one tensor under the weight's own name, whose entry in the header says
/// its ggml type and its shape.
///
/// | tensor | holds |
/// |---|---|
/// | `NAME` | blocks; here U8 `[bytes]` |
public record GgufStorage() implements QuantStorage {
  @Override
  public String id() {
    return "gguf";
  }

  @Override
  public boolean stores(QuantScheme scheme, Shape shape) {
    return scheme instanceof GgmlBlock block && shape.elements() > 0 && block.fits(shape);
  }

  @Override
  public List<StoredTensor> plan(String weight, QuantScheme scheme, Shape shape, DType source) {
    StoredTensors.require(this, scheme, shape);
    Shape codes = StoredTensors.spec(scheme, shape, Part.CODES).shape();
    return List.of(StoredTensors.part(weight, Part.CODES, DType.U8, codes));
  }

  @Override
  public byte[] document(
      QuantScheme scheme, Shape shape, DType source, Map<Part, MemorySegment> parts) {
    throw new IllegalArgumentException("gguf stores no document");
  }
}
