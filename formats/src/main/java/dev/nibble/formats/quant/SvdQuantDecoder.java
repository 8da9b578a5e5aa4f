package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatWriter;
import java.lang.foreign.MemorySegment;

/// Reads a {@link SvdQuant} weight as the weight that it stands for.
final class SvdQuantDecoder implements WeightDecoder {
  private static final int BUFFER = 8192;

  private final Shape weight;
  private final WeightDecoder residual;
  private final SvdBranch branch;
  private final int columns;

  SvdQuantDecoder(Shape weight, QuantizedTensor residual, SvdBranch branch) {
    this.weight = weight;
    this.residual = residual.scheme().decoder(residual);
    this.branch = branch;
    this.columns = Math.toIntExact(weight.dim(1));
  }

  @Override
  public void decode(long begin, long count, MemorySegment target, DType type) {
    if (begin < 0
        || count < 0
        || begin > weight.elements() - count
        || target.byteSize() != type.byteSize(count)) {
      throw new IllegalArgumentException(
          "%d elements at %d in %d bytes of %s do not fit a weight %s"
              .formatted(count, begin, target.byteSize(), type, weight));
    }
    FloatWriter writer = FloatWriter.of(type);
    DecodeScratch scratch = new DecodeScratch();
    float[] some = new float[(int) Math.min(count, BUFFER)];
    for (long at = 0; at < count; at += BUFFER) {
      int length = (int) Math.min(BUFFER, count - at);
      decode(begin + at, length, some, 0, scratch);
      writer.write(some, length, target, at);
    }
  }

  @Override
  public void decode(long begin, int count, float[] target, int at, DecodeScratch scratch) {
    residual.decode(begin, count, target, at, scratch);
    branch.toWeight(begin, target, at, count, scratch.floats(columns));
  }
}
