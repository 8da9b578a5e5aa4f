package dev.nibble.converter.internal;

import dev.nibble.converter.algorithm.WeightRows;

/// Rows of a weight as a layer with a scaled input holds them: edited for the scales of later
/// layers, and each column multiplied by the scale of its input.
///
/// @param scales `[in]`
@SuppressWarnings("ArrayRecordComponent") // a view, compared by nobody
record ScaledRows(WeightRows weight, RowEditor editor, float[] scales) implements WeightRows {
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
    int elements = count * columns();
    editor.apply((long) first * columns(), columns(), target, elements);
    for (int i = 0; i < elements; i++) {
      target[i] *= scales[i % columns()];
    }
  }
}
