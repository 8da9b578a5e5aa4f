package dev.nibble.converter.linalg.simd;

import dev.nibble.formats.internal.simd.Warmup;

/// {@link VectorGemm} once {@link Warmup} finds it compiled; {@link ScalarGemm} until then.
final class WarmingGemm implements GemmKernel {
  private static final Warmup PRODUCT = new Warmup();

  private final VectorGemm vector = new VectorGemm();
  private final ScalarGemm scalar = new ScalarGemm(vector.width());

  @Override
  public int width() {
    return vector.width();
  }

  @Override
  public void addProduct(
      float[] a,
      int aAt,
      int aStride,
      int rows,
      int steps,
      float[] b,
      int bAt,
      float[] c,
      int cAt,
      int cStride) {
    if (PRODUCT.isWarm()) {
      vector.addProduct(a, aAt, aStride, rows, steps, b, bAt, c, cAt, cStride);
    } else {
      PRODUCT.run(
          (long) rows * steps,
          () -> vector.addProduct(a, aAt, aStride, rows, steps, b, bAt, c, cAt, cStride),
          () -> scalar.addProduct(a, aAt, aStride, rows, steps, b, bAt, c, cAt, cStride));
    }
  }
}
