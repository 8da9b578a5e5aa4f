package dev.nibble.formats.quant.storage;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantScheme;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;

/// To come.
public record CompressedTensorsStorage() implements QuantStorage {
  @Override
  public String id() {
    throw new AssertionError("to come");
  }

  @Override
  public boolean stores(QuantScheme scheme, Shape shape) {
    throw new AssertionError("to come");
  }

  @Override
  public List<StoredTensor> plan(String weight, QuantScheme scheme, Shape shape, DType source) {
    throw new AssertionError("to come");
  }

  @Override
  public byte[] document(
      QuantScheme scheme, Shape shape, DType source, Map<Part, MemorySegment> parts) {
    throw new AssertionError("to come");
  }
}
