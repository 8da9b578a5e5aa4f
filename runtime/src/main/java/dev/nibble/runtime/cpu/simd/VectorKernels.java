package dev.nibble.runtime.cpu.simd;

import static jdk.incubator.vector.VectorOperators.EQ;
import static jdk.incubator.vector.VectorOperators.GT;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/// {@link ScalarKernels} with the Vector API, bit for bit.
final class VectorKernels implements Kernels {
  static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
  private static final int LANES = FLOATS.length();

  private final ScalarKernels scalar = new ScalarKernels(LANES);

  /// Sums of a tile take all registers: 24 of the 32 of AVX-512, 12 of the 16 of AVX2.
  @Override
  public int panel() {
    return scalar.panel();
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
  public void softmax(float[] scores, int at, int keys, int width, float[] state, int stateAt) {
    for (int j = 0; j < width; j += LANES) {
      softmaxColumn(scores, at + j, keys, width, state, stateAt + j);
    }
  }

  private static void softmaxColumn(
      float[] scores, int at, int keys, int width, float[] state, int stateAt) {
    int end = at + keys * width;
    FloatVector before = load(state, stateAt);
    FloatVector max = before;
    for (int i = at; i < end; i += width) {
      FloatVector score = load(scores, i);
      max = max.blend(score, score.compare(GT, max));
    }
    FloatVector base = max.blend(0f, max.compare(EQ, Float.NEGATIVE_INFINITY));
    FloatVector sum = FloatVector.zero(FLOATS);
    for (int i = at; i < end; i += width) {
      FloatVector p = VectorMath.exp(load(scores, i).sub(base));
      p.intoArray(scores, i);
      sum = sum.add(p);
    }
    FloatVector factor = VectorMath.exp(before.sub(base));
    max.intoArray(state, stateAt);
    load(state, width + stateAt).fma(factor, sum).intoArray(state, width + stateAt);
    factor.intoArray(state, 2 * width + stateAt);
  }

  @Override
  public float dot(float[] a, int aAt, float[] b, int bAt, int count) {
    FloatVector s0 = FloatVector.zero(FLOATS);
    FloatVector s1 = s0;
    FloatVector s2 = s0;
    FloatVector s3 = s0;
    int whole = count - count % (4 * LANES);
    for (int i = 0; i < whole; i += 4 * LANES) {
      s0 = load(a, aAt + i).fma(load(b, bAt + i), s0);
      s1 = load(a, aAt + i + LANES).fma(load(b, bAt + i + LANES), s1);
      s2 = load(a, aAt + i + 2 * LANES).fma(load(b, bAt + i + 2 * LANES), s2);
      s3 = load(a, aAt + i + 3 * LANES).fma(load(b, bAt + i + 3 * LANES), s3);
    }
    float[] partial = partialSums(s0, s1, s2, s3);
    for (int i = whole; i < count; i++) {
      partial[i - whole] = Math.fma(a[aAt + i], b[bAt + i], partial[i - whole]);
    }
    return ScalarKernels.byHalves(partial);
  }

  @Override
  public float sum(float[] a, int at, int count) {
    FloatVector s0 = FloatVector.zero(FLOATS);
    FloatVector s1 = s0;
    FloatVector s2 = s0;
    FloatVector s3 = s0;
    int whole = count - count % (4 * LANES);
    for (int i = 0; i < whole; i += 4 * LANES) {
      s0 = s0.add(load(a, at + i));
      s1 = s1.add(load(a, at + i + LANES));
      s2 = s2.add(load(a, at + i + 2 * LANES));
      s3 = s3.add(load(a, at + i + 3 * LANES));
    }
    float[] partial = partialSums(s0, s1, s2, s3);
    for (int i = whole; i < count; i++) {
      partial[i - whole] += a[at + i];
    }
    return ScalarKernels.byHalves(partial);
  }

  @Override
  public float squares(float[] a, int at, int count, float centre) {
    FloatVector s0 = FloatVector.zero(FLOATS);
    FloatVector s1 = s0;
    FloatVector s2 = s0;
    FloatVector s3 = s0;
    int whole = count - count % (4 * LANES);
    for (int i = 0; i < whole; i += 4 * LANES) {
      FloatVector d0 = load(a, at + i).sub(centre);
      s0 = d0.fma(d0, s0);
      FloatVector d1 = load(a, at + i + LANES).sub(centre);
      s1 = d1.fma(d1, s1);
      FloatVector d2 = load(a, at + i + 2 * LANES).sub(centre);
      s2 = d2.fma(d2, s2);
      FloatVector d3 = load(a, at + i + 3 * LANES).sub(centre);
      s3 = d3.fma(d3, s3);
    }
    float[] partial = partialSums(s0, s1, s2, s3);
    for (int i = whole; i < count; i++) {
      float d = a[at + i] - centre;
      partial[i - whole] = Math.fma(d, d, partial[i - whole]);
    }
    return ScalarKernels.byHalves(partial);
  }

  private static float[] partialSums(
      FloatVector s0, FloatVector s1, FloatVector s2, FloatVector s3) {
    float[] partial = new float[4 * LANES];
    s0.intoArray(partial, 0);
    s1.intoArray(partial, LANES);
    s2.intoArray(partial, 2 * LANES);
    s3.intoArray(partial, 3 * LANES);
    return partial;
  }

  @Override
  public void silu(float[] x, int at, int count, float[] out, int outAt) {
    int bound = FLOATS.loopBound(count);
    for (int i = 0; i < bound; i += LANES) {
      VectorMath.silu(load(x, at + i)).intoArray(out, outAt + i);
    }
    scalar.silu(x, at + bound, count - bound, out, outAt + bound);
  }

  @Override
  public void gelu(float[] x, int at, int count, float[] out, int outAt) {
    int bound = FLOATS.loopBound(count);
    for (int i = 0; i < bound; i += LANES) {
      VectorMath.gelu(load(x, at + i)).intoArray(out, outAt + i);
    }
    scalar.gelu(x, at + bound, count - bound, out, outAt + bound);
  }

  @Override
  public void tanh(float[] x, int at, int count, float[] out, int outAt) {
    int bound = FLOATS.loopBound(count);
    for (int i = 0; i < bound; i += LANES) {
      VectorMath.tanh(load(x, at + i)).intoArray(out, outAt + i);
    }
    scalar.tanh(x, at + bound, count - bound, out, outAt + bound);
  }

  @Override
  public void swiGlu(
      float[] gate, int gateAt, float[] up, int upAt, int count, float[] out, int outAt) {
    int bound = FLOATS.loopBound(count);
    for (int i = 0; i < bound; i += LANES) {
      VectorMath.silu(load(gate, gateAt + i)).mul(load(up, upAt + i)).intoArray(out, outAt + i);
    }
    scalar.swiGlu(gate, gateAt + bound, up, upAt + bound, count - bound, out, outAt + bound);
  }

  private static FloatVector load(float[] array, int at) {
    return FloatVector.fromArray(FLOATS, array, at);
  }
}
