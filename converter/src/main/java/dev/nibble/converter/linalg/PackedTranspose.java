package dev.nibble.converter.linalg;

import dev.nibble.converter.linalg.simd.GemmKernel;

/// The transpose of a matrix `[columns, depth]`, packed to be multiplied with many others.
/// Immutable; any number of threads may use it.
public final class PackedTranspose {
  private final GemmKernel kernel = GemmKernel.best();
  private final int columns;
  private final int depth;
  private final float[][] strips;

  /// @param rows the matrix, `[columns, depth]`
  public PackedTranspose(Rows rows, int columns, int depth) {
    int width = kernel.width();
    this.columns = columns;
    this.depth = depth;
    this.strips = new float[Math.ceilDiv(columns, width)][];
    for (int strip = 0; strip < strips.length; strip++) {
      int count = Math.min(width, columns - strip * width);
      strips[strip] = Gemm.transposedStrip(rows, strip * width, count, depth);
    }
  }

  /// Columns of a product, and what fills the last strip.
  public int stride() {
    return Gemm.padded(columns);
  }

  /// `C += A · Bᵀ`.
  ///
  /// @param a `[rows, depth]`, from `aAt`
  /// @param c `[rows, columns]`, rows {@link #stride()} apart
  public void addProduct(float[] a, int aAt, int rows, float[] c) {
    for (int strip = 0; strip < strips.length; strip++) {
      kernel.addProduct(
          a, aAt, depth, rows, depth, strips[strip], 0, c, strip * kernel.width(), stride());
    }
  }
}
