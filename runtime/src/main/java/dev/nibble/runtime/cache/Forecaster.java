package dev.nibble.runtime.cache;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;

/// Foresees one tensor of a run from its values at computed steps. A tensor of another shape than
/// the last makes it begin anew.
public interface Forecaster {
  /// Takes note of the value at a computed step. Steps come in increasing order.
  ///
  /// @param value borrowed
  void observe(int step, Tensor value);

  /// The value at a step after the last computed one. Steps come in increasing order.
  ///
  /// @param ops whose innermost region owns the result
  /// @throws IllegalStateException if nothing was observed
  Tensor predict(int step, Ops ops);

  /// Forgets everything and gives its memory back.
  void clear();
}
