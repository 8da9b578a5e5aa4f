package dev.nibble.converter.linalg;

import dev.nibble.converter.linalg.simd.GemmKernel;
import java.util.Optional;

/// The Cholesky factor U of an inverse: upper triangular with `H⁻¹ = UᵀU`, of a symmetric positive
/// definite H `[n, n]`. In float32 but for blocks of the diagonal; made without inverting H by
/// {@link Elimination}, in 2/3 n³ operations.
///
/// U is kept as panels of {@link #BLOCK} rows, from the diagonal block to the right. A panel is a
/// row of strips `[height, width]`, each of them contiguous: what a {@link GemmKernel} takes as its
/// B, and half the bytes of a square. Columns past n are zero. Immutable; any number of threads may
/// use it.
public final class InverseCholesky {
  /// Rows of a panel, but for the last.
  public static final int BLOCK = 128;

  private final int size;
  private final GemmKernel kernel;
  private final float[][] panels;
  private final float[][] diagonals;

  private InverseCholesky(int size, GemmKernel kernel, float[][] panels) {
    this.size = size;
    this.kernel = kernel;
    this.panels = panels;
    this.diagonals = new float[panels.length][];
    for (int k = 0; k < panels.length; k++) {
      diagonals[k] = diagonal(k);
    }
  }

  /// Factorizes.
  ///
  /// @param h of whose rows the elements from the diagonal on are used
  /// @return empty if H is not positive definite, as far as float32 can tell
  public static Optional<InverseCholesky> of(int size, Rows h, Workers workers) {
    GemmKernel kernel = GemmKernel.best();
    Elimination elimination = new Elimination(size, kernel, workers);
    elimination.load(h);
    return elimination.run()
        ? Optional.of(new InverseCholesky(size, kernel, elimination.panels()))
        : Optional.empty();
  }

  /// Bytes that a factorization of that size needs at most, about half of which it keeps.
  public static long bytes(int size) {
    long columns = (long) size + BLOCK;
    return columns * columns * 2 + 3L * BLOCK * columns * Float.BYTES;
  }

  /// n.
  public int size() {
    return size;
  }

  /// Number of panels.
  public int blocks() {
    return panels.length;
  }

  /// Rows of a panel, which are also the columns of its diagonal block.
  public int height(int block) {
    return Math.min(BLOCK, size - block * BLOCK);
  }

  /// Floats of a row that {@link #addRest} can work on: n and what fills the last strip.
  public int stride() {
    return Math.ceilDiv(size, kernel.width()) * kernel.width();
  }

  /// The block of U on the diagonal: `[height, height]`, row-major. Not to be changed.
  public float[] diagonalBlock(int block) {
    return diagonals[block];
  }

  private float[] diagonal(int block) {
    int height = height(block);
    int width = kernel.width();
    float[] square = new float[height * height];
    for (int row = 0; row < height; row++) {
      for (int column = 0; column < height; column++) {
        int at = (column / width * height + row) * width + column % width;
        square[row * height + column] = panels[block][at];
      }
    }
    return square;
  }

  /// Adds to the columns right of a block, of matrix C, the product of A and the panel's rest:
  /// `C[:, end:] += A · U[block, end:]`.
  ///
  /// @param a `[rows, height]`, rows {@link #BLOCK} apart
  /// @param c `[rows, n]`, rows {@link #stride()} apart
  public void addRest(int block, float[] a, int rows, float[] c) {
    int height = height(block);
    int width = kernel.width();
    int first = block * BLOCK;
    float[] panel = panels[block];
    for (int column = first + BLOCK; column < size; column += width) {
      int strip = (column - first) / width * height * width;
      kernel.addProduct(a, 0, BLOCK, rows, height, panel, strip, c, column, stride());
    }
  }

  /// One element, 0 below the diagonal.
  public float get(int row, int column) {
    int block = row / BLOCK;
    if (column < block * BLOCK) {
      return 0;
    }
    int width = kernel.width();
    int inPanel = column - block * BLOCK;
    int line = inPanel / width * height(block) + row - block * BLOCK;
    return panels[block][line * width + inPanel % width];
  }
}
