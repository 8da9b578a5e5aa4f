package dev.nibble.runtime.cpu.simd;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorSpecies;

/// Transposition of 16 x 16 elements in registers, as four perfect shuffles: each interleaves
/// vector i with vector i + 8, so that each moves one bit of an element's row number to its column
/// number (Stone, "Parallel Processing with the Perfect Shuffle", 1971). An interleaving is one
/// instruction of AVX-512.
final class VectorTranspose {
  static final int SIZE = 16;

  private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_512;
  private static final VectorSpecies<Integer> INTS = IntVector.SPECIES_512;
  private static final int[] LOW = interleaving(0);
  private static final int[] HIGH = interleaving(SIZE / 2);

  private VectorTranspose() {}

  /// Lanes `first, first + 16, first + 1, first + 17, ...` of two vectors.
  private static int[] interleaving(int first) {
    int[] lanes = new int[SIZE];
    for (int i = 0; i < SIZE; i++) {
      lanes[i] = first + i / 2 + i % 2 * SIZE;
    }
    return lanes;
  }

  /// `to[j][i] = from[i][j]` for 16 i and `columns` j, a multiple of 16.
  static void rows(
      float[] from, int fromAt, int fromStride, int columns, float[] to, int toAt, int toStride) {
    IntVector low = IntVector.fromArray(INTS, LOW, 0);
    IntVector high = IntVector.fromArray(INTS, HIGH, 0);
    for (int j = 0; j < columns; j += SIZE) {
      int at = fromAt + j;
      IntVector a0 = load(from, at);
      IntVector a1 = load(from, at + fromStride);
      IntVector a2 = load(from, at + 2 * fromStride);
      IntVector a3 = load(from, at + 3 * fromStride);
      IntVector a4 = load(from, at + 4 * fromStride);
      IntVector a5 = load(from, at + 5 * fromStride);
      IntVector a6 = load(from, at + 6 * fromStride);
      IntVector a7 = load(from, at + 7 * fromStride);
      IntVector a8 = load(from, at + 8 * fromStride);
      IntVector a9 = load(from, at + 9 * fromStride);
      IntVector a10 = load(from, at + 10 * fromStride);
      IntVector a11 = load(from, at + 11 * fromStride);
      IntVector a12 = load(from, at + 12 * fromStride);
      IntVector a13 = load(from, at + 13 * fromStride);
      IntVector a14 = load(from, at + 14 * fromStride);
      IntVector a15 = load(from, at + 15 * fromStride);
      IntVector b0 = low.selectFrom(a0, a8);
      IntVector b1 = high.selectFrom(a0, a8);
      IntVector b2 = low.selectFrom(a1, a9);
      IntVector b3 = high.selectFrom(a1, a9);
      IntVector b4 = low.selectFrom(a2, a10);
      IntVector b5 = high.selectFrom(a2, a10);
      IntVector b6 = low.selectFrom(a3, a11);
      IntVector b7 = high.selectFrom(a3, a11);
      IntVector b8 = low.selectFrom(a4, a12);
      IntVector b9 = high.selectFrom(a4, a12);
      IntVector b10 = low.selectFrom(a5, a13);
      IntVector b11 = high.selectFrom(a5, a13);
      IntVector b12 = low.selectFrom(a6, a14);
      IntVector b13 = high.selectFrom(a6, a14);
      IntVector b14 = low.selectFrom(a7, a15);
      IntVector b15 = high.selectFrom(a7, a15);
      IntVector c0 = low.selectFrom(b0, b8);
      IntVector c1 = high.selectFrom(b0, b8);
      IntVector c2 = low.selectFrom(b1, b9);
      IntVector c3 = high.selectFrom(b1, b9);
      IntVector c4 = low.selectFrom(b2, b10);
      IntVector c5 = high.selectFrom(b2, b10);
      IntVector c6 = low.selectFrom(b3, b11);
      IntVector c7 = high.selectFrom(b3, b11);
      IntVector c8 = low.selectFrom(b4, b12);
      IntVector c9 = high.selectFrom(b4, b12);
      IntVector c10 = low.selectFrom(b5, b13);
      IntVector c11 = high.selectFrom(b5, b13);
      IntVector c12 = low.selectFrom(b6, b14);
      IntVector c13 = high.selectFrom(b6, b14);
      IntVector c14 = low.selectFrom(b7, b15);
      IntVector c15 = high.selectFrom(b7, b15);
      IntVector d0 = low.selectFrom(c0, c8);
      IntVector d1 = high.selectFrom(c0, c8);
      IntVector d2 = low.selectFrom(c1, c9);
      IntVector d3 = high.selectFrom(c1, c9);
      IntVector d4 = low.selectFrom(c2, c10);
      IntVector d5 = high.selectFrom(c2, c10);
      IntVector d6 = low.selectFrom(c3, c11);
      IntVector d7 = high.selectFrom(c3, c11);
      IntVector d8 = low.selectFrom(c4, c12);
      IntVector d9 = high.selectFrom(c4, c12);
      IntVector d10 = low.selectFrom(c5, c13);
      IntVector d11 = high.selectFrom(c5, c13);
      IntVector d12 = low.selectFrom(c6, c14);
      IntVector d13 = high.selectFrom(c6, c14);
      IntVector d14 = low.selectFrom(c7, c15);
      IntVector d15 = high.selectFrom(c7, c15);
      IntVector e0 = low.selectFrom(d0, d8);
      IntVector e1 = high.selectFrom(d0, d8);
      IntVector e2 = low.selectFrom(d1, d9);
      IntVector e3 = high.selectFrom(d1, d9);
      IntVector e4 = low.selectFrom(d2, d10);
      IntVector e5 = high.selectFrom(d2, d10);
      IntVector e6 = low.selectFrom(d3, d11);
      IntVector e7 = high.selectFrom(d3, d11);
      IntVector e8 = low.selectFrom(d4, d12);
      IntVector e9 = high.selectFrom(d4, d12);
      IntVector e10 = low.selectFrom(d5, d13);
      IntVector e11 = high.selectFrom(d5, d13);
      IntVector e12 = low.selectFrom(d6, d14);
      IntVector e13 = high.selectFrom(d6, d14);
      IntVector e14 = low.selectFrom(d7, d15);
      IntVector e15 = high.selectFrom(d7, d15);
      int out = toAt + j * toStride;
      store(e0, to, out);
      store(e1, to, out + toStride);
      store(e2, to, out + 2 * toStride);
      store(e3, to, out + 3 * toStride);
      store(e4, to, out + 4 * toStride);
      store(e5, to, out + 5 * toStride);
      store(e6, to, out + 6 * toStride);
      store(e7, to, out + 7 * toStride);
      store(e8, to, out + 8 * toStride);
      store(e9, to, out + 9 * toStride);
      store(e10, to, out + 10 * toStride);
      store(e11, to, out + 11 * toStride);
      store(e12, to, out + 12 * toStride);
      store(e13, to, out + 13 * toStride);
      store(e14, to, out + 14 * toStride);
      store(e15, to, out + 15 * toStride);
    }
  }

  private static IntVector load(float[] array, int at) {
    return FloatVector.fromArray(FLOATS, array, at).reinterpretAsInts();
  }

  private static void store(IntVector vector, float[] array, int at) {
    vector.reinterpretAsFloats().intoArray(array, at);
  }
}
