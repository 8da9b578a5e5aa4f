package dev.nibble.formats.calibration;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/// What the input X `[rows, in]` of one or more linear layers was like, over all rows of all calls.
/// Layers that take the very same tensor (query, key and value of an attention) share it.
public interface InputStatistics {
  /// Module path of the first layer that takes it, such as `layers.0.attention.to_q`.
  String name();

  /// Module paths of all layers that take it, {@link #name()} first.
  List<String> modules();

  /// Width of a row.
  int features();

  /// Rows seen: tokens, times steps, times guidance branches, times prompts.
  long count();

  /// Mean of `|x|` of each feature, `[in]`.
  double[] meanAbs();

  /// Largest `|x|` of each feature, `[in]`.
  float[] maxAbs();

  /// Mean of `x²` of each feature, `[in]`.
  double[] meanSquare();

  /// XᵀX, the sum over all rows: F32 `[in, in]`, row-major and symmetric; empty where it was not
  /// recorded. Borrowed from whoever opened the statistics.
  Optional<MemorySegment> hessian();

  /// Some rows of X, picked evenly among all: F32 `[sampleRows, in]`, row-major. Borrowed.
  MemorySegment sample();

  /// Rows of {@link #sample()}.
  int sampleRows();
}
