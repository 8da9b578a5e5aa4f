package dev.nibble.runtime.cpu.simd;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/// {@link Kernels#tile} for panels of one to four vectors: {@link Kernels#TILE} rows of sums in
/// registers, 24 of the 32 of AVX-512 at most, one load a vector of the panel and one broadcast a
/// row of weights for each step. One method a width, for the compiler keeps vectors in registers
/// only where they are locals of a loop that it sees whole.
final class VectorTiles {
  private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
  private static final int LANES = FLOATS.length();

  private VectorTiles() {}

  static void tile1(
      float[] x, int xAt, int steps, float[] w, int wAt, int wStride, float[] c, int cAt) {
    FloatVector c00 = load(c, cAt);
    FloatVector c10 = load(c, cAt + LANES);
    FloatVector c20 = load(c, cAt + 2 * LANES);
    FloatVector c30 = load(c, cAt + 3 * LANES);
    FloatVector c40 = load(c, cAt + 4 * LANES);
    FloatVector c50 = load(c, cAt + 5 * LANES);
    int at = xAt;
    for (int s = wAt; s < wAt + steps; s++, at += LANES) {
      FloatVector x0 = load(x, at);
      FloatVector b = FloatVector.broadcast(FLOATS, w[s]);
      c00 = b.fma(x0, c00);
      b = FloatVector.broadcast(FLOATS, w[s + wStride]);
      c10 = b.fma(x0, c10);
      b = FloatVector.broadcast(FLOATS, w[s + 2 * wStride]);
      c20 = b.fma(x0, c20);
      b = FloatVector.broadcast(FLOATS, w[s + 3 * wStride]);
      c30 = b.fma(x0, c30);
      b = FloatVector.broadcast(FLOATS, w[s + 4 * wStride]);
      c40 = b.fma(x0, c40);
      b = FloatVector.broadcast(FLOATS, w[s + 5 * wStride]);
      c50 = b.fma(x0, c50);
    }
    c00.intoArray(c, cAt);
    c10.intoArray(c, cAt + LANES);
    c20.intoArray(c, cAt + 2 * LANES);
    c30.intoArray(c, cAt + 3 * LANES);
    c40.intoArray(c, cAt + 4 * LANES);
    c50.intoArray(c, cAt + 5 * LANES);
  }

  static void tile2(
      float[] x, int xAt, int steps, float[] w, int wAt, int wStride, float[] c, int cAt) {
    FloatVector c00 = load(c, cAt);
    FloatVector c01 = load(c, cAt + LANES);
    FloatVector c10 = load(c, cAt + 2 * LANES);
    FloatVector c11 = load(c, cAt + 3 * LANES);
    FloatVector c20 = load(c, cAt + 4 * LANES);
    FloatVector c21 = load(c, cAt + 5 * LANES);
    FloatVector c30 = load(c, cAt + 6 * LANES);
    FloatVector c31 = load(c, cAt + 7 * LANES);
    FloatVector c40 = load(c, cAt + 8 * LANES);
    FloatVector c41 = load(c, cAt + 9 * LANES);
    FloatVector c50 = load(c, cAt + 10 * LANES);
    FloatVector c51 = load(c, cAt + 11 * LANES);
    int at = xAt;
    for (int s = wAt; s < wAt + steps; s++, at += 2 * LANES) {
      FloatVector x0 = load(x, at);
      FloatVector x1 = load(x, at + LANES);
      FloatVector b = FloatVector.broadcast(FLOATS, w[s]);
      c00 = b.fma(x0, c00);
      c01 = b.fma(x1, c01);
      b = FloatVector.broadcast(FLOATS, w[s + wStride]);
      c10 = b.fma(x0, c10);
      c11 = b.fma(x1, c11);
      b = FloatVector.broadcast(FLOATS, w[s + 2 * wStride]);
      c20 = b.fma(x0, c20);
      c21 = b.fma(x1, c21);
      b = FloatVector.broadcast(FLOATS, w[s + 3 * wStride]);
      c30 = b.fma(x0, c30);
      c31 = b.fma(x1, c31);
      b = FloatVector.broadcast(FLOATS, w[s + 4 * wStride]);
      c40 = b.fma(x0, c40);
      c41 = b.fma(x1, c41);
      b = FloatVector.broadcast(FLOATS, w[s + 5 * wStride]);
      c50 = b.fma(x0, c50);
      c51 = b.fma(x1, c51);
    }
    c00.intoArray(c, cAt);
    c01.intoArray(c, cAt + LANES);
    c10.intoArray(c, cAt + 2 * LANES);
    c11.intoArray(c, cAt + 3 * LANES);
    c20.intoArray(c, cAt + 4 * LANES);
    c21.intoArray(c, cAt + 5 * LANES);
    c30.intoArray(c, cAt + 6 * LANES);
    c31.intoArray(c, cAt + 7 * LANES);
    c40.intoArray(c, cAt + 8 * LANES);
    c41.intoArray(c, cAt + 9 * LANES);
    c50.intoArray(c, cAt + 10 * LANES);
    c51.intoArray(c, cAt + 11 * LANES);
  }

  static void tile3(
      float[] x, int xAt, int steps, float[] w, int wAt, int wStride, float[] c, int cAt) {
    FloatVector c00 = load(c, cAt);
    FloatVector c01 = load(c, cAt + LANES);
    FloatVector c02 = load(c, cAt + 2 * LANES);
    FloatVector c10 = load(c, cAt + 3 * LANES);
    FloatVector c11 = load(c, cAt + 4 * LANES);
    FloatVector c12 = load(c, cAt + 5 * LANES);
    FloatVector c20 = load(c, cAt + 6 * LANES);
    FloatVector c21 = load(c, cAt + 7 * LANES);
    FloatVector c22 = load(c, cAt + 8 * LANES);
    FloatVector c30 = load(c, cAt + 9 * LANES);
    FloatVector c31 = load(c, cAt + 10 * LANES);
    FloatVector c32 = load(c, cAt + 11 * LANES);
    FloatVector c40 = load(c, cAt + 12 * LANES);
    FloatVector c41 = load(c, cAt + 13 * LANES);
    FloatVector c42 = load(c, cAt + 14 * LANES);
    FloatVector c50 = load(c, cAt + 15 * LANES);
    FloatVector c51 = load(c, cAt + 16 * LANES);
    FloatVector c52 = load(c, cAt + 17 * LANES);
    int at = xAt;
    for (int s = wAt; s < wAt + steps; s++, at += 3 * LANES) {
      FloatVector x0 = load(x, at);
      FloatVector x1 = load(x, at + LANES);
      FloatVector x2 = load(x, at + 2 * LANES);
      FloatVector b = FloatVector.broadcast(FLOATS, w[s]);
      c00 = b.fma(x0, c00);
      c01 = b.fma(x1, c01);
      c02 = b.fma(x2, c02);
      b = FloatVector.broadcast(FLOATS, w[s + wStride]);
      c10 = b.fma(x0, c10);
      c11 = b.fma(x1, c11);
      c12 = b.fma(x2, c12);
      b = FloatVector.broadcast(FLOATS, w[s + 2 * wStride]);
      c20 = b.fma(x0, c20);
      c21 = b.fma(x1, c21);
      c22 = b.fma(x2, c22);
      b = FloatVector.broadcast(FLOATS, w[s + 3 * wStride]);
      c30 = b.fma(x0, c30);
      c31 = b.fma(x1, c31);
      c32 = b.fma(x2, c32);
      b = FloatVector.broadcast(FLOATS, w[s + 4 * wStride]);
      c40 = b.fma(x0, c40);
      c41 = b.fma(x1, c41);
      c42 = b.fma(x2, c42);
      b = FloatVector.broadcast(FLOATS, w[s + 5 * wStride]);
      c50 = b.fma(x0, c50);
      c51 = b.fma(x1, c51);
      c52 = b.fma(x2, c52);
    }
    c00.intoArray(c, cAt);
    c01.intoArray(c, cAt + LANES);
    c02.intoArray(c, cAt + 2 * LANES);
    c10.intoArray(c, cAt + 3 * LANES);
    c11.intoArray(c, cAt + 4 * LANES);
    c12.intoArray(c, cAt + 5 * LANES);
    c20.intoArray(c, cAt + 6 * LANES);
    c21.intoArray(c, cAt + 7 * LANES);
    c22.intoArray(c, cAt + 8 * LANES);
    c30.intoArray(c, cAt + 9 * LANES);
    c31.intoArray(c, cAt + 10 * LANES);
    c32.intoArray(c, cAt + 11 * LANES);
    c40.intoArray(c, cAt + 12 * LANES);
    c41.intoArray(c, cAt + 13 * LANES);
    c42.intoArray(c, cAt + 14 * LANES);
    c50.intoArray(c, cAt + 15 * LANES);
    c51.intoArray(c, cAt + 16 * LANES);
    c52.intoArray(c, cAt + 17 * LANES);
  }

  static void tile4(
      float[] x, int xAt, int steps, float[] w, int wAt, int wStride, float[] c, int cAt) {
    FloatVector c00 = load(c, cAt);
    FloatVector c01 = load(c, cAt + LANES);
    FloatVector c02 = load(c, cAt + 2 * LANES);
    FloatVector c03 = load(c, cAt + 3 * LANES);
    FloatVector c10 = load(c, cAt + 4 * LANES);
    FloatVector c11 = load(c, cAt + 5 * LANES);
    FloatVector c12 = load(c, cAt + 6 * LANES);
    FloatVector c13 = load(c, cAt + 7 * LANES);
    FloatVector c20 = load(c, cAt + 8 * LANES);
    FloatVector c21 = load(c, cAt + 9 * LANES);
    FloatVector c22 = load(c, cAt + 10 * LANES);
    FloatVector c23 = load(c, cAt + 11 * LANES);
    FloatVector c30 = load(c, cAt + 12 * LANES);
    FloatVector c31 = load(c, cAt + 13 * LANES);
    FloatVector c32 = load(c, cAt + 14 * LANES);
    FloatVector c33 = load(c, cAt + 15 * LANES);
    FloatVector c40 = load(c, cAt + 16 * LANES);
    FloatVector c41 = load(c, cAt + 17 * LANES);
    FloatVector c42 = load(c, cAt + 18 * LANES);
    FloatVector c43 = load(c, cAt + 19 * LANES);
    FloatVector c50 = load(c, cAt + 20 * LANES);
    FloatVector c51 = load(c, cAt + 21 * LANES);
    FloatVector c52 = load(c, cAt + 22 * LANES);
    FloatVector c53 = load(c, cAt + 23 * LANES);
    int at = xAt;
    for (int s = wAt; s < wAt + steps; s++, at += 4 * LANES) {
      FloatVector x0 = load(x, at);
      FloatVector x1 = load(x, at + LANES);
      FloatVector x2 = load(x, at + 2 * LANES);
      FloatVector x3 = load(x, at + 3 * LANES);
      FloatVector b = FloatVector.broadcast(FLOATS, w[s]);
      c00 = b.fma(x0, c00);
      c01 = b.fma(x1, c01);
      c02 = b.fma(x2, c02);
      c03 = b.fma(x3, c03);
      b = FloatVector.broadcast(FLOATS, w[s + wStride]);
      c10 = b.fma(x0, c10);
      c11 = b.fma(x1, c11);
      c12 = b.fma(x2, c12);
      c13 = b.fma(x3, c13);
      b = FloatVector.broadcast(FLOATS, w[s + 2 * wStride]);
      c20 = b.fma(x0, c20);
      c21 = b.fma(x1, c21);
      c22 = b.fma(x2, c22);
      c23 = b.fma(x3, c23);
      b = FloatVector.broadcast(FLOATS, w[s + 3 * wStride]);
      c30 = b.fma(x0, c30);
      c31 = b.fma(x1, c31);
      c32 = b.fma(x2, c32);
      c33 = b.fma(x3, c33);
      b = FloatVector.broadcast(FLOATS, w[s + 4 * wStride]);
      c40 = b.fma(x0, c40);
      c41 = b.fma(x1, c41);
      c42 = b.fma(x2, c42);
      c43 = b.fma(x3, c43);
      b = FloatVector.broadcast(FLOATS, w[s + 5 * wStride]);
      c50 = b.fma(x0, c50);
      c51 = b.fma(x1, c51);
      c52 = b.fma(x2, c52);
      c53 = b.fma(x3, c53);
    }
    c00.intoArray(c, cAt);
    c01.intoArray(c, cAt + LANES);
    c02.intoArray(c, cAt + 2 * LANES);
    c03.intoArray(c, cAt + 3 * LANES);
    c10.intoArray(c, cAt + 4 * LANES);
    c11.intoArray(c, cAt + 5 * LANES);
    c12.intoArray(c, cAt + 6 * LANES);
    c13.intoArray(c, cAt + 7 * LANES);
    c20.intoArray(c, cAt + 8 * LANES);
    c21.intoArray(c, cAt + 9 * LANES);
    c22.intoArray(c, cAt + 10 * LANES);
    c23.intoArray(c, cAt + 11 * LANES);
    c30.intoArray(c, cAt + 12 * LANES);
    c31.intoArray(c, cAt + 13 * LANES);
    c32.intoArray(c, cAt + 14 * LANES);
    c33.intoArray(c, cAt + 15 * LANES);
    c40.intoArray(c, cAt + 16 * LANES);
    c41.intoArray(c, cAt + 17 * LANES);
    c42.intoArray(c, cAt + 18 * LANES);
    c43.intoArray(c, cAt + 19 * LANES);
    c50.intoArray(c, cAt + 20 * LANES);
    c51.intoArray(c, cAt + 21 * LANES);
    c52.intoArray(c, cAt + 22 * LANES);
    c53.intoArray(c, cAt + 23 * LANES);
  }

  private static FloatVector load(float[] array, int at) {
    return FloatVector.fromArray(FLOATS, array, at);
  }
}
