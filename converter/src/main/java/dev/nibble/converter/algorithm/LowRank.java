package dev.nibble.converter.algorithm;

import dev.nibble.converter.linalg.Matrix;

/// A low-rank branch `up · down` beside a weight, its numbers rounded to BF16 as they are stored.
/// Immutable.
public final class LowRank {
  private final Matrix up;
  private final Matrix down;

  /// @param up transposed, `[rank, out]`; rounded in place
  /// @param down `[rank, in]`; rounded in place
  LowRank(Matrix up, Matrix down) {
    this.up = up;
    this.down = down;
    round(up);
    round(down);
  }

  private static void round(Matrix matrix) {
    float[] data = matrix.data();
    for (int i = 0; i < data.length; i++) {
      int bits = Float.floatToRawIntBits(data[i]);
      data[i] = Float.intBitsToFloat((bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000);
    }
  }

  public int rank() {
    return down.rows();
  }

  /// The part behind, `[out, rank]`, row-major: numbers of BF16.
  public float[] up() {
    float[] values = new float[up.columns() * rank()];
    for (int i = 0; i < values.length; i++) {
      values[i] = up.get(i % rank(), i / rank());
    }
    return values;
  }

  /// The part in front, `[rank, in]`, row-major: numbers of BF16.
  public float[] down() {
    float[] values = new float[rank() * down.columns()];
    for (int row = 0; row < rank(); row++) {
      down.read(row, values, row * down.columns());
    }
    return values;
  }

  /// Takes the branch from rows of the weight, and so leaves the residual.
  ///
  /// @param values `[rows, in]`
  public void subtractFrom(int firstRow, int rows, float[] values) {
    add(-1, firstRow, rows, values);
  }

  /// Adds the branch to rows of the residual.
  public void addTo(int firstRow, int rows, float[] values) {
    add(1, firstRow, rows, values);
  }

  private void add(int sign, int firstRow, int rows, float[] values) {
    int columns = down.columns();
    for (int row = 0; row < rows; row++) {
      for (int k = 0; k < rank(); k++) {
        addMultiple(sign * up.get(k, firstRow + row), k, values, row * columns);
      }
    }
  }

  private void addMultiple(float factor, int k, float[] values, int at) {
    float[] data = down.data();
    int from = k * down.stride();
    for (int i = 0; i < down.columns(); i++) {
      values[at + i] = Math.fma(factor, data[from + i], values[at + i]);
    }
  }
}
