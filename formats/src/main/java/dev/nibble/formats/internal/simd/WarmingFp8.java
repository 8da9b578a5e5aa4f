package dev.nibble.formats.internal.simd;

import dev.nibble.formats.DType;
import java.lang.foreign.MemorySegment;

/// {@link VectorFp8} once {@link Warmup} finds it compiled; {@link ScalarFp8} until then.
final class WarmingFp8 implements Fp8Kernel {
  private static final Warmup ENCODE = new Warmup();

  private final Fp8Kernel vector;
  private final Fp8Kernel scalar;

  WarmingFp8(DType type) {
    this.vector = new VectorFp8(type);
    this.scalar = new ScalarFp8(type);
  }

  @Override
  public void encode(
      float[] x, int from, int to, float scale, MemorySegment codes, long at, ErrorSum error) {
    if (ENCODE.isWarm()) {
      vector.encode(x, from, to, scale, codes, at, error);
    } else {
      ENCODE.run(
          to - from,
          () -> vector.encode(x, from, to, scale, codes, at, error),
          () -> scalar.encode(x, from, to, scale, codes, at, error));
    }
  }
}
