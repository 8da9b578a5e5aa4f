package dev.nibble.converter.algorithm;

/// Rows of a weight `[out, in]` in float32, wherever they come from. Safe for many threads.
public interface WeightRows {
  /// Outputs of the layer.
  int rows();

  /// Inputs of the layer.
  int columns();

  /// Reads rows `[first, first + count)` to the front of `target`, `[count, in]` row-major.
  void read(int first, int count, float[] target);

  /// The weight of the layer that divides its input by a scale: columns multiplied by it.
  ///
  /// @param inputScale `[in]`
  default WeightRows scaled(float[] inputScale) {
    WeightRows plain = this;
    return new WeightRows() {
      @Override
      public int rows() {
        return plain.rows();
      }

      @Override
      public int columns() {
        return plain.columns();
      }

      @Override
      public void read(int first, int count, float[] target) {
        plain.read(first, count, target);
        for (int i = 0; i < count * columns(); i++) {
          target[i] *= inputScale[i % inputScale.length];
        }
      }
    };
  }
}
