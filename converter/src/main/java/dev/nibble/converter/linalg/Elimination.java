package dev.nibble.converter.linalg;

import dev.nibble.converter.linalg.simd.GemmKernel;
import java.util.Arrays;

/// Turns the upper half of a symmetric H into U with `H⁻¹ = UᵀU`, in place, panel by panel from the
/// last.
///
/// With `H = R Rᵀ`, R upper triangular, U is R⁻¹. Both recurrences run towards the front: column
/// block k of R follows from what the blocks behind it have left of H, and row block k of U from
/// the rows of U behind it. So one step does both. Of the panels i before k, columns before k hold
/// the rest of H, column block k becomes R[i, k], and columns behind hold sums for U:
///
/// - `H[i, j] -= R[i, k] · R[j, k]ᵀ` for `i ≤ j < k`,
/// - `T[i, j] -= R[i, k] · U[k, j]` for `j ≥ k`,
///
/// which is one product of R[i, k] with a row of strips; and `U[k, j] = U[k, k] · T[k, j]` when k's
/// turn has come. Together 2/3 n³ operations, all but those of n · {@link InverseCholesky#BLOCK}²
/// in products of blocks.
final class Elimination {
  private static final int BLOCK = InverseCholesky.BLOCK;

  private final int size;
  private final GemmKernel kernel;
  private final Workers workers;
  private final int width;
  private final float[][] panels;

  /// `-R[i, k]` for each panel i before k: `[BLOCK, BLOCK]`, row-major.
  private final float[] negated;

  /// `R[i, k]ᵀ` for each panel i before k: strips `[height(k), width]`.
  private final float[] transposed;

  Elimination(int size, GemmKernel kernel, Workers workers) {
    this.size = size;
    this.kernel = kernel;
    this.workers = workers;
    this.width = kernel.width();
    this.panels = new float[Math.ceilDiv(size, BLOCK)][];
    this.negated = new float[(panels.length - 1) * BLOCK * BLOCK];
    this.transposed = new float[(panels.length - 1) * BLOCK * BLOCK];
  }

  float[][] panels() {
    return panels;
  }

  private int height(int block) {
    return Math.min(BLOCK, size - block * BLOCK);
  }

  /// Strips of a panel.
  private int strips(int block) {
    return Math.ceilDiv(size - block * BLOCK, width);
  }

  void load(Rows h) {
    workers.each(
        panels.length,
        block -> {
          int first = block * BLOCK;
          int height = height(block);
          float[] row = new float[size];
          float[] panel = new float[strips(block) * height * width];
          for (int i = 0; i < height; i++) {
            h.read(first + i, row, 0);
            for (int column = first; column < size; column += width) {
              int at = ((column - first) / width * height + i) * width;
              System.arraycopy(row, column, panel, at, Math.min(width, size - column));
            }
          }
          panels[block] = panel;
        });
  }

  /// @return whether H is positive definite
  boolean run() {
    for (int k = panels.length - 1; k >= 0; k--) {
      double[] inverse = diagonal(k);
      if (!SmallCholesky.invert(inverse, height(k))) {
        return false;
      }
      finishPanel(k, inverse);
      int turn = k;
      float[] strips = transposedStrips(inverse, height(k));
      workers.each(k, i -> splitOff(i, turn, strips));
      workers.each(k, i -> update(i, turn));
    }
    return true;
  }

  /// What is left of H in a diagonal block.
  private double[] diagonal(int block) {
    int height = height(block);
    double[] square = new double[height * height];
    for (int row = 0; row < height; row++) {
      for (int column = row; column < height; column++) {
        square[row * height + column] =
            panels[block][(column / width * height + row) * width + column % width];
      }
    }
    return square;
  }

  /// `U[k, k]` goes to its place, and `U[k, j] = U[k, k] · T[k, j]`.
  private void finishPanel(int k, double[] inverse) {
    int height = height(k);
    float[] panel = panels[k];
    float[] square = new float[height * height];
    for (int i = 0; i < square.length; i++) {
      square[i] = (float) inverse[i];
    }
    int own = Math.ceilDiv(height, width);
    Arrays.fill(panel, 0, own * height * width, 0);
    for (int i = 0; i < square.length; i++) {
      int column = i % height;
      panel[(column / width * height + i / height) * width + column % width] = square[i];
    }
    workers.each(
        strips(k) - own,
        strip -> {
          int at = (own + strip) * height * width;
          float[] sums = Arrays.copyOfRange(panel, at, at + height * width);
          Arrays.fill(panel, at, at + height * width, 0);
          kernel.addProduct(square, 0, height, height, height, sums, 0, panel, at, width);
        });
  }

  /// The transpose of a square matrix, in strips.
  private float[] transposedStrips(double[] square, int height) {
    float[] strips = new float[Math.ceilDiv(height, width) * height * width];
    for (int row = 0; row < height; row++) {
      for (int column = 0; column < height; column++) {
        strips[(row / width * height + column) * width + row % width] =
            (float) square[row * height + column];
      }
    }
    return strips;
  }

  /// `R[i, k] = H[i, k] · U[k, k]ᵀ`, kept negated and transposed; its place becomes zero.
  private void splitOff(int i, int k, float[] inverse) {
    int height = height(k);
    int strips = Math.ceilDiv(height, width);
    int first = (k - i) * BLOCK / width * BLOCK * width;
    float[] panel = panels[i];
    float[] left = new float[BLOCK * BLOCK];
    for (int strip = 0; strip < strips; strip++) {
      for (int row = 0; row < BLOCK; row++) {
        int at = first + (strip * BLOCK + row) * width;
        System.arraycopy(panel, at, left, row * BLOCK + strip * width, width);
      }
    }
    Arrays.fill(panel, first, first + strips * BLOCK * width, 0);
    float[] r = new float[BLOCK * BLOCK];
    for (int strip = 0; strip < strips; strip++) {
      kernel.addProduct(
          left, 0, BLOCK, BLOCK, height, inverse, strip * height * width, r, strip * width, BLOCK);
    }
    int base = i * BLOCK * BLOCK;
    for (int row = 0; row < BLOCK; row++) {
      for (int column = 0; column < height; column++) {
        float value = r[row * BLOCK + column];
        negated[base + row * BLOCK + column] = -value;
        transposed[base + (row / width * height + column) * width + row % width] = value;
      }
    }
  }

  /// Takes block k's part from panel i.
  private void update(int i, int k) {
    int height = height(k);
    int left = i * BLOCK * BLOCK;
    int stripsBefore = (k - i) * BLOCK / width;
    for (int strip = 0; strip < strips(i); strip++) {
      boolean before = strip < stripsBefore;
      float[] b = before ? transposed : panels[k];
      // Blocks before k fill BLOCK² each, in which strips follow one another.
      int perBlock = BLOCK / width;
      int bAt =
          before
              ? (i + strip / perBlock) * BLOCK * BLOCK + strip % perBlock * height * width
              : (strip - stripsBefore) * height * width;
      kernel.addProduct(
          negated, left, BLOCK, BLOCK, height, b, bAt, panels[i], strip * BLOCK * width, width);
    }
  }
}
