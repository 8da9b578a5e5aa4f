package dev.nibble.converter.linalg;

import dev.nibble.converter.linalg.simd.GemmKernel;

/// Products of matrices of which the left one has few rows. Results do not depend on the number of
/// threads.
public final class Gemm {
  private static final GemmKernel KERNEL = GemmKernel.best();

  /// Rows of B that are packed at once: a strip of them is a part of the second cache.
  private static final int DEPTH = 1024;

  private Gemm() {}

  /// Columns, and what fills the last strip.
  static int padded(int columns) {
    return Math.ceilDiv(columns, KERNEL.width()) * KERNEL.width();
  }

  /// `C += A · B`.
  public static void addProduct(Matrix a, Matrix b, Matrix c, Workers workers) {
    int width = KERNEL.width();
    workers.each(
        b.stride() / width,
        strip -> {
          float[] packed = new float[Math.min(DEPTH, b.rows()) * width];
          for (int first = 0; first < b.rows(); first += DEPTH) {
            int depth = Math.min(DEPTH, b.rows() - first);
            for (int i = 0; i < depth; i++) {
              int from = (first + i) * b.stride() + strip * width;
              System.arraycopy(b.data(), from, packed, i * width, width);
            }
            multiply(a, first, depth, packed, c, strip);
          }
        });
  }

  /// `C += A · Bᵀ`.
  ///
  /// @param b as many rows as C has columns, each as long as those of A
  public static void addTransposed(Matrix a, Rows b, Matrix c, Workers workers) {
    int width = KERNEL.width();
    workers.each(
        c.stride() / width,
        strip -> {
          int count = Math.min(width, c.columns() - strip * width);
          float[] packed = transposedStrip(b, strip * width, count, a.columns());
          multiply(a, 0, a.columns(), packed, c, strip);
        });
  }

  /// `count` rows as columns of a strip.
  static float[] transposedStrip(Rows rows, int first, int count, int length) {
    int width = KERNEL.width();
    float[] row = new float[length];
    float[] strip = new float[length * width];
    for (int i = 0; i < count; i++) {
      rows.read(first + i, row, 0);
      for (int k = 0; k < length; k++) {
        strip[k * width + i] = row[k];
      }
    }
    return strip;
  }

  private static void multiply(
      Matrix a, int first, int depth, float[] packed, Matrix c, int strip) {
    KERNEL.addProduct(
        a.data(),
        first,
        a.stride(),
        a.rows(),
        depth,
        packed,
        0,
        c.data(),
        strip * KERNEL.width(),
        c.stride());
  }
}
