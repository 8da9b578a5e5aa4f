package dev.nibble.runtime.cpu.simd;

/// One number at a time, a few sums in registers: the reference of the vector kernels, and what
/// runs until they are compiled or where there are none.
final class ScalarKernels implements Kernels {
  /// Lanes where no vectors say otherwise.
  static final int LANES = 16;

  private final int lanes;
  private final int sums;

  /// @param lanes of the vectors whose order of summing this follows
  ScalarKernels(int lanes) {
    this.lanes = lanes;
    this.sums = 4 * lanes;
  }

  @Override
  public int panel() {
    return lanes >= 16 ? 4 * lanes : 2 * lanes;
  }

  @Override
  public int lanes() {
    return lanes;
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
    for (int r = 0; r < TILE; r += 2) {
      for (int j = 0; j < width; j += 4) {
        corner(x, xAt + j, width, steps, w, wAt + r * wStride, wStride, c, cAt + r * width + j);
      }
    }
  }

  /// Two rows by four columns. (Loops over columns do not become vectors here: the compiler cannot
  /// show that `x[xAt + j]` and `c[cAt + j]` lie apart.)
  private static void corner(
      float[] x,
      int xAt,
      int width,
      int steps,
      float[] w,
      int wAt,
      int wStride,
      float[] c,
      int cAt) {
    int d = cAt + width;
    float c0 = c[cAt];
    float c1 = c[cAt + 1];
    float c2 = c[cAt + 2];
    float c3 = c[cAt + 3];
    float d0 = c[d];
    float d1 = c[d + 1];
    float d2 = c[d + 2];
    float d3 = c[d + 3];
    int at = xAt;
    for (int s = 0; s < steps; s++, at += width) {
      float v = w[wAt + s];
      float u = w[wAt + wStride + s];
      float x0 = x[at];
      float x1 = x[at + 1];
      float x2 = x[at + 2];
      float x3 = x[at + 3];
      c0 = Math.fma(v, x0, c0);
      c1 = Math.fma(v, x1, c1);
      c2 = Math.fma(v, x2, c2);
      c3 = Math.fma(v, x3, c3);
      d0 = Math.fma(u, x0, d0);
      d1 = Math.fma(u, x1, d1);
      d2 = Math.fma(u, x2, d2);
      d3 = Math.fma(u, x3, d3);
    }
    c[cAt] = c0;
    c[cAt + 1] = c1;
    c[cAt + 2] = c2;
    c[cAt + 3] = c3;
    c[d] = d0;
    c[d + 1] = d1;
    c[d + 2] = d2;
    c[d + 3] = d3;
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
    for (int i = 0; i < rows; i += 4) {
      int height = Math.min(4, rows - i);
      for (int j = 0; j < columns; j++) {
        int source = fromAt + i * fromStride + j;
        int target = toAt + j * toStride + i;
        for (int r = 0; r < height; r++) {
          to[target + r] = from[source + r * fromStride];
        }
      }
    }
  }

  @Override
  public void softmax(float[] scores, int at, int keys, int width, float[] state, int stateAt) {
    for (int j = 0; j < width; j++) {
      int column = stateAt + j;
      float before = state[column];
      float max = before;
      for (int i = at + j; i < at + keys * width; i += width) {
        max = scores[i] > max ? scores[i] : max;
      }
      float base = max == Float.NEGATIVE_INFINITY ? 0 : max;
      float sum = 0;
      for (int i = at + j; i < at + keys * width; i += width) {
        scores[i] = ScalarMath.exp(scores[i] - base);
        sum += scores[i];
      }
      float factor = ScalarMath.exp(before - base);
      state[column] = max;
      state[width + column] = Math.fma(state[width + column], factor, sum);
      state[2 * width + column] = factor;
    }
  }

  @Override
  public float dot(float[] a, int aAt, float[] b, int bAt, int count) {
    float[] partial = new float[sums];
    int whole = count - count % sums;
    for (int i = 0; i < whole; i += sums) {
      for (int j = 0; j < sums; j++) {
        partial[j] = Math.fma(a[aAt + i + j], b[bAt + i + j], partial[j]);
      }
    }
    for (int i = whole; i < count; i++) {
      partial[i - whole] = Math.fma(a[aAt + i], b[bAt + i], partial[i - whole]);
    }
    return byHalves(partial);
  }

  @Override
  public float sum(float[] a, int at, int count) {
    float[] partial = new float[sums];
    int whole = count - count % sums;
    for (int i = 0; i < whole; i += sums) {
      for (int j = 0; j < sums; j++) {
        partial[j] += a[at + i + j];
      }
    }
    for (int i = whole; i < count; i++) {
      partial[i - whole] += a[at + i];
    }
    return byHalves(partial);
  }

  @Override
  public float squares(float[] a, int at, int count, float centre) {
    float[] partial = new float[sums];
    int whole = count - count % sums;
    for (int i = 0; i < whole; i += sums) {
      for (int j = 0; j < sums; j++) {
        float d = a[at + i + j] - centre;
        partial[j] = Math.fma(d, d, partial[j]);
      }
    }
    for (int i = whole; i < count; i++) {
      float d = a[at + i] - centre;
      partial[i - whole] = Math.fma(d, d, partial[i - whole]);
    }
    return byHalves(partial);
  }

  /// Adds the upper half to the lower one until one number is left.
  static float byHalves(float[] partial) {
    for (int half = partial.length / 2; half > 0; half /= 2) {
      for (int j = 0; j < half; j++) {
        partial[j] += partial[j + half];
      }
    }
    return partial[0];
  }

  @Override
  public void silu(float[] x, int at, int count, float[] out, int outAt) {
    for (int i = 0; i < count; i++) {
      out[outAt + i] = ScalarMath.silu(x[at + i]);
    }
  }

  @Override
  public void swiGlu(
      float[] gate, int gateAt, float[] up, int upAt, int count, float[] out, int outAt) {
    for (int i = 0; i < count; i++) {
      out[outAt + i] = ScalarMath.silu(gate[gateAt + i]) * up[upAt + i];
    }
  }

  @Override
  public void gelu(float[] x, int at, int count, float[] out, int outAt) {
    for (int i = 0; i < count; i++) {
      out[outAt + i] = ScalarMath.gelu(x[at + i]);
    }
  }

  @Override
  public void tanh(float[] x, int at, int count, float[] out, int outAt) {
    for (int i = 0; i < count; i++) {
      out[outAt + i] = ScalarMath.tanh(x[at + i]);
    }
  }
}
