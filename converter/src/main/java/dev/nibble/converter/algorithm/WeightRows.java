package dev.nibble.converter.algorithm;

/// Rows of a weight `[out, in]` in float32, wherever they come from. Safe for many threads.
public interface WeightRows {
  /// Outputs of the layer.
  int rows();

  /// Inputs of the layer.
  int columns();

  /// Reads rows `[first, first + count)` to the front of `target`, `[count, in]` row-major.
  void read(int first, int count, float[] target);
}
