package dev.nibble.runtime.tensor;

/// A weight matrix `[out features, in features]` that a {@link Backend} has made ready for {@link
/// Ops#linear}, {@link Ops#conv2d} and {@link Ops#embedding}: dense or quantized, which only the
/// backend needs to know. Owned by its {@link WeightStore}.
public interface LinearWeight {
  /// Rows: features of the output.
  int outFeatures();

  /// Columns: features of the input.
  int inFeatures();

  /// Bytes that the weight holds as it is stored, quantized weights quantized.
  long byteSize();
}
