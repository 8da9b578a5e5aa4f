package dev.nibble.converter.internal;

import dev.nibble.converter.algorithm.WeightRows;

/// Rows of a weight that takes up the scales of later layers.
record EditedRows(WeightRows weight, RowEditor editor) implements WeightRows {
  @Override
  public int rows() {
    return weight.rows();
  }

  @Override
  public int columns() {
    return weight.columns();
  }

  @Override
  public void read(int first, int count, float[] target) {
    weight.read(first, count, target);
    editor.apply((long) first * columns(), columns(), target, count * columns());
  }
}
