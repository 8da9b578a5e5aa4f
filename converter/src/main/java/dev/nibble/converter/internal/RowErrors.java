package dev.nibble.converter.internal;

import dev.nibble.formats.quant.QuantError;

/// Errors of a weight row by row, so that their sum does not depend on who saw which row when.
final class RowErrors {
  private final int columns;
  private final double[] squares;
  private final double[] errors;
  private final float[] largest;

  RowErrors(int rows, int columns) {
    this.columns = columns;
    this.squares = new double[rows];
    this.errors = new double[rows];
    this.largest = new float[rows];
  }

  /// Takes whole rows.
  ///
  /// @param weight as it was, `[rows, in]`
  /// @param decoded as a reader decodes it
  void add(int firstRow, int rows, float[] weight, float[] decoded) {
    for (int row = 0; row < rows; row++) {
      double square = 0;
      double error = 0;
      float most = 0;
      for (int i = row * columns; i < (row + 1) * columns; i++) {
        float difference = decoded[i] - weight[i];
        square += (double) weight[i] * weight[i];
        error += (double) difference * difference;
        most = Math.max(most, Math.abs(difference));
      }
      squares[firstRow + row] = square;
      errors[firstRow + row] = error;
      largest[firstRow + row] = most;
    }
  }

  /// Of all rows.
  QuantError total() {
    double square = 0;
    double error = 0;
    float most = 0;
    for (int row = 0; row < squares.length; row++) {
      square += squares[row];
      error += errors[row];
      most = Math.max(most, largest[row]);
    }
    return new QuantError((long) squares.length * columns, square, error, most);
  }
}
