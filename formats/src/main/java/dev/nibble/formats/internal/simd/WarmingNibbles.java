package dev.nibble.formats.internal.simd;

import java.lang.foreign.MemorySegment;

/// {@link VectorNibbles}, each method once {@link Warmup} finds it compiled; {@link ScalarNibbles}
/// until then.
final class WarmingNibbles implements NibbleKernels {
  private static final Warmup PACK = new Warmup();
  private static final Warmup DECODE = new Warmup();

  private final VectorNibbles vector = new VectorNibbles();
  private final ScalarNibbles scalar = new ScalarNibbles();

  @Override
  public void pack(byte[] codes, int count, MemorySegment packed, long at) {
    if (PACK.isWarm()) {
      vector.pack(codes, count, packed, at);
    } else {
      PACK.run(
          count,
          () -> vector.pack(codes, count, packed, at),
          () -> scalar.pack(codes, count, packed, at));
    }
  }

  @Override
  public void decode(
      MemorySegment packed, long first, int zero, float scale, float[] out, int from, int to) {
    if (DECODE.isWarm()) {
      vector.decode(packed, first, zero, scale, out, from, to);
    } else {
      DECODE.run(
          to - from,
          () -> vector.decode(packed, first, zero, scale, out, from, to),
          () -> scalar.decode(packed, first, zero, scale, out, from, to));
    }
  }
}
