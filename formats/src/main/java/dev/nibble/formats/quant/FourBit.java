package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import java.lang.foreign.SegmentAllocator;
import java.util.List;

/// 4-bit codes over blocks of the flattened weight, as bitsandbytes' CPU backend makes them.
public record FourBit(FourBitType type, int blockSize, boolean doubleQuant) implements QuantScheme {
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
