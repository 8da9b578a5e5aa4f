package dev.nibble.converter.algorithm;

/// A weight in memory.
final class TestRows implements WeightRows {
  private final float[] values;
  private final int rows;
  private final int columns;

  TestRows(float[] values, int rows, int columns) {
    this.values = values;
    this.rows = rows;
    this.columns = columns;
  }

  @Override
  public int rows() {
    return rows;
  }

  @Override
  public int columns() {
    return columns;
  }

  @Override
  public void read(int first, int count, float[] target) {
    System.arraycopy(values, first * columns, target, 0, count * columns);
  }
}
