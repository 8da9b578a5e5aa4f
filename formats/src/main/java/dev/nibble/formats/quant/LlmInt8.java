package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import java.lang.foreign.SegmentAllocator;
import java.util.List;

/// LLM.int8: row-wise int8 through fp16, as bitsandbytes stores it.
public record LlmInt8() implements QuantScheme {
  @Override
  public String id() {
    throw new AssertionError("to come");
  }

  @Override
  public List<PartSpec> parts(Shape weight) {
    throw new AssertionError("to come");
  }

  @Override
  public long sliceAlignment(Shape weight) {
    throw new AssertionError("to come");
  }

  @Override
  public long codeBytes(long elements) {
    throw new AssertionError("to come");
  }

  @Override
  public WeightEncoder encoder(Shape weight, DType source, SegmentAllocator statistics) {
    throw new AssertionError("to come");
  }

  @Override
  public WeightDecoder decoder(QuantizedTensor tensor) {
    throw new AssertionError("to come");
  }
}
