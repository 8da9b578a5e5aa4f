package dev.nibble.converter.algorithm;

/// Some rows of a layer's weight, spread evenly.
final class SampledRows {
  private final CalibratedLayer layer;
  private final int count;
  private final float[] values;

  private SampledRows(CalibratedLayer layer, int count, float[] values) {
    this.layer = layer;
    this.count = count;
    this.values = values;
  }

  static SampledRows of(CalibratedLayer layer, int most) {
    WeightRows weight = layer.weight();
    int columns = weight.columns();
    int count = Math.min(most, weight.rows());
    float[] values = new float[Math.multiplyExact(count, columns)];
    float[] row = new float[columns];
    for (int i = 0; i < count; i++) {
      weight.read((int) ((long) i * weight.rows() / count), 1, row);
      System.arraycopy(row, 0, values, i * columns, columns);
    }
    return new SampledRows(layer, count, values);
  }

  int count() {
    return count;
  }

  /// The rows themselves, `[count, in]`; not to be changed.
  float[] values() {
    return values;
  }

  /// `Q(W·diag(s))`, what a reader decodes.
  float[] rounded(float[] scales) {
    int columns = scales.length;
    float[] rounded = values.clone();
    for (int i = 0; i < rounded.length; i += columns) {
      for (int j = 0; j < columns; j++) {
        rounded[i + j] *= scales[j];
      }
    }
    RoundTrip.apply(layer.scheme(), count, columns, rounded);
    return rounded;
  }

  /// What rounding does to `W·diag(s)`, seen from the unscaled input: `Q(W·s)/s − W`.
  float[] error(float[] scales) {
    int columns = scales.length;
    float[] error = rounded(scales);
    for (int i = 0; i < error.length; i += columns) {
      for (int j = 0; j < columns; j++) {
        error[i + j] = error[i + j] / scales[j] - values[i + j];
      }
    }
    return error;
  }
}
