package dev.nibble.converter.internal;

import dev.nibble.converter.algorithm.WeightRows;
import dev.nibble.formats.model.TensorEdit;

/// Rows of a weight that takes up the scales of later layers.
record EditedRows(WeightRows weight, TensorEdit edit) implements WeightRows {
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
    edit.apply((long) first * columns(), count * columns(), columns(), target, 0);
  }
}
