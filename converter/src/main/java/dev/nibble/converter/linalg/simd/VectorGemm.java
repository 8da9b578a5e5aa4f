package dev.nibble.converter.linalg.simd;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/// Six rows by two vectors of sums in registers: 12 of the 16 that AVX2 has, and more than the
/// eight that two units of a latency of four cycles keep busy. A step costs two loads, six
/// broadcasts and twelve multiply-adds.
final class VectorGemm implements GemmKernel {
  private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
  private static final int LANES = FLOATS.length();
  private static final int TILE = 6;

  @Override
  public int width() {
    return 2 * LANES;
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
    int row = 0;
    for (; row + TILE <= rows; row += TILE) {
      tile(a, aAt + row * aStride, aStride, steps, b, bAt, c, cAt + row * cStride, cStride);
    }
    for (; row < rows; row++) {
      row(a, aAt + row * aStride, steps, b, bAt, c, cAt + row * cStride);
    }
  }

  /// Written out, for the compiler keeps vectors in registers only where they are locals of a loop
  /// that it sees whole.
  private static void tile(
      float[] a,
      int aAt,
      int aStride,
      int steps,
      float[] b,
      int bAt,
      float[] c,
      int at,
      int cStride) {
    FloatVector c00 = load(c, at);
    FloatVector c01 = load(c, at + LANES);
    FloatVector c10 = load(c, at + cStride);
    FloatVector c11 = load(c, at + cStride + LANES);
    FloatVector c20 = load(c, at + 2 * cStride);
    FloatVector c21 = load(c, at + 2 * cStride + LANES);
    FloatVector c30 = load(c, at + 3 * cStride);
    FloatVector c31 = load(c, at + 3 * cStride + LANES);
    FloatVector c40 = load(c, at + 4 * cStride);
    FloatVector c41 = load(c, at + 4 * cStride + LANES);
    FloatVector c50 = load(c, at + 5 * cStride);
    FloatVector c51 = load(c, at + 5 * cStride + LANES);
    int bottom = bAt;
    for (int s = aAt; s < aAt + steps; s++, bottom += 2 * LANES) {
      FloatVector b0 = load(b, bottom);
      FloatVector b1 = load(b, bottom + LANES);
      FloatVector x = FloatVector.broadcast(FLOATS, a[s]);
      c00 = x.fma(b0, c00);
      c01 = x.fma(b1, c01);
      x = FloatVector.broadcast(FLOATS, a[s + aStride]);
      c10 = x.fma(b0, c10);
      c11 = x.fma(b1, c11);
      x = FloatVector.broadcast(FLOATS, a[s + 2 * aStride]);
      c20 = x.fma(b0, c20);
      c21 = x.fma(b1, c21);
      x = FloatVector.broadcast(FLOATS, a[s + 3 * aStride]);
      c30 = x.fma(b0, c30);
      c31 = x.fma(b1, c31);
      x = FloatVector.broadcast(FLOATS, a[s + 4 * aStride]);
      c40 = x.fma(b0, c40);
      c41 = x.fma(b1, c41);
      x = FloatVector.broadcast(FLOATS, a[s + 5 * aStride]);
      c50 = x.fma(b0, c50);
      c51 = x.fma(b1, c51);
    }
    c00.intoArray(c, at);
    c01.intoArray(c, at + LANES);
    c10.intoArray(c, at + cStride);
    c11.intoArray(c, at + cStride + LANES);
    c20.intoArray(c, at + 2 * cStride);
    c21.intoArray(c, at + 2 * cStride + LANES);
    c30.intoArray(c, at + 3 * cStride);
    c31.intoArray(c, at + 3 * cStride + LANES);
    c40.intoArray(c, at + 4 * cStride);
    c41.intoArray(c, at + 4 * cStride + LANES);
    c50.intoArray(c, at + 5 * cStride);
    c51.intoArray(c, at + 5 * cStride + LANES);
  }

  private static void row(float[] a, int aAt, int steps, float[] b, int bAt, float[] c, int at) {
    FloatVector c0 = load(c, at);
    FloatVector c1 = load(c, at + LANES);
    int bottom = bAt;
    for (int s = aAt; s < aAt + steps; s++, bottom += 2 * LANES) {
      FloatVector x = FloatVector.broadcast(FLOATS, a[s]);
      c0 = x.fma(load(b, bottom), c0);
      c1 = x.fma(load(b, bottom + LANES), c1);
    }
    c0.intoArray(c, at);
    c1.intoArray(c, at + LANES);
  }

  private static FloatVector load(float[] array, int at) {
    return FloatVector.fromArray(FLOATS, array, at);
  }
}
