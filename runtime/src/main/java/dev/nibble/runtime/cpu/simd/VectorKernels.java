package dev.nibble.runtime.cpu.simd;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/// {@link ScalarKernels} with the Vector API, bit for bit.
final class VectorKernels implements Kernels {
  private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
  private static final int LANES = FLOATS.length();

  private final ScalarKernels scalar = new ScalarKernels();

  /// Sums of a tile take all registers: 24 of the 32 of AVX-512, 12 of the 16 of AVX2.
  @Override
  public int panel() {
    return LANES >= 16 ? 4 * LANES : 2 * LANES;
  }

  @Override
  public int lanes() {
    return LANES;
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
    switch (width / LANES) {
      case 1 -> VectorTiles.tile1(x, xAt, steps, w, wAt, wStride, c, cAt);
      case 2 -> VectorTiles.tile2(x, xAt, steps, w, wAt, wStride, c, cAt);
      case 3 -> VectorTiles.tile3(x, xAt, steps, w, wAt, wStride, c, cAt);
      case 4 -> VectorTiles.tile4(x, xAt, steps, w, wAt, wStride, c, cAt);
      default -> throw new IllegalArgumentException("a panel of width " + width);
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
    scalar.transpose(from, fromAt, fromStride, rows, columns, to, toAt, toStride);
  }

  @Override
  public float dot(float[] a, int aAt, float[] b, int bAt, int count) {
    float[] sums = new float[SUMS];
    int whole = count - count % SUMS;
    if (SUMS / LANES == 4) {
      FloatVector s0 = FloatVector.zero(FLOATS);
      FloatVector s1 = s0;
      FloatVector s2 = s0;
      FloatVector s3 = s0;
      for (int i = 0; i < whole; i += SUMS) {
        s0 = load(a, aAt + i).fma(load(b, bAt + i), s0);
        s1 = load(a, aAt + i + LANES).fma(load(b, bAt + i + LANES), s1);
        s2 = load(a, aAt + i + 2 * LANES).fma(load(b, bAt + i + 2 * LANES), s2);
        s3 = load(a, aAt + i + 3 * LANES).fma(load(b, bAt + i + 3 * LANES), s3);
      }
      s0.intoArray(sums, 0);
      s1.intoArray(sums, LANES);
      s2.intoArray(sums, 2 * LANES);
      s3.intoArray(sums, 3 * LANES);
    } else {
      for (int j = 0; j < SUMS; j += LANES) {
        FloatVector sum = FloatVector.zero(FLOATS);
        for (int i = j; i < whole; i += SUMS) {
          sum = load(a, aAt + i).fma(load(b, bAt + i), sum);
        }
        sum.intoArray(sums, j);
      }
    }
    return ScalarKernels.finishDot(sums, a, aAt + whole, b, bAt + whole, count - whole);
  }

  private static FloatVector load(float[] array, int at) {
    return FloatVector.fromArray(FLOATS, array, at);
  }
}
