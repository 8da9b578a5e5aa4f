package dev.nibble.runtime.cpu.simd;

/// One number at a time, a few sums in registers: the reference of the vector kernels, and what
/// runs until they are compiled or where there are none.
final class ScalarKernels implements Kernels {
  @Override
  public int panel() {
    return 64;
  }

  @Override
  public int lanes() {
    return 16;
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
  public float dot(float[] a, int aAt, float[] b, int bAt, int count) {
    float[] sums = new float[SUMS];
    int whole = count - count % SUMS;
    for (int i = 0; i < whole; i += SUMS) {
      for (int j = 0; j < SUMS; j++) {
        sums[j] = Math.fma(a[aAt + i + j], b[bAt + i + j], sums[j]);
      }
    }
    return finishDot(sums, a, aAt + whole, b, bAt + whole, count - whole);
  }

  /// Adds the products of the last, incomplete round to the sums, and the sums by halves.
  static float finishDot(float[] sums, float[] a, int aAt, float[] b, int bAt, int count) {
    for (int j = 0; j < count; j++) {
      sums[j] = Math.fma(a[aAt + j], b[bAt + j], sums[j]);
    }
    for (int half = SUMS / 2; half > 0; half /= 2) {
      for (int j = 0; j < half; j++) {
        sums[j] += sums[j + half];
      }
    }
    return sums[0];
  }
}
