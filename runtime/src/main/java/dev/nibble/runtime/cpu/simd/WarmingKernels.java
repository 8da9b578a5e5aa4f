package dev.nibble.runtime.cpu.simd;

import dev.nibble.formats.internal.simd.Warmup;

/// {@link VectorKernels}, each method once {@link Warmup} finds it compiled; {@link ScalarKernels}
/// until then.
final class WarmingKernels implements Kernels {
  private static final Warmup TILE_WARMUP = new Warmup();
  private static final Warmup DOT = new Warmup();

  private final VectorKernels vector = new VectorKernels();
  private final ScalarKernels scalar = new ScalarKernels();

  @Override
  public int panel() {
    return vector.panel();
  }

  @Override
  public int lanes() {
    return vector.lanes();
  }

  @Override
  public void tile(
      float[] x,
      int xAt,
      int width,
      int steps,
      float[] w,
      int wAt,
      int wStride,
      float[] c,
      int cAt) {
    if (TILE_WARMUP.isWarm()) {
      vector.tile(x, xAt, width, steps, w, wAt, wStride, c, cAt);
    } else {
      TILE_WARMUP.run(
          (long) steps * width,
          () -> vector.tile(x, xAt, width, steps, w, wAt, wStride, c, cAt),
          () -> scalar.tile(x, xAt, width, steps, w, wAt, wStride, c, cAt));
    }
  }

  @Override
  public void transpose(
      float[] from,
      int fromAt,
      int fromStride,
      int rows,
      int columns,
      float[] to,
      int toAt,
      int toStride) {
    vector.transpose(from, fromAt, fromStride, rows, columns, to, toAt, toStride);
  }

  @Override
  public float dot(float[] a, int aAt, float[] b, int bAt, int count) {
    return DOT.isWarm()
        ? vector.dot(a, aAt, b, bAt, count)
        : DOT.call(
            count,
            () -> vector.dot(a, aAt, b, bAt, count),
            () -> scalar.dot(a, aAt, b, bAt, count));
  }
}
