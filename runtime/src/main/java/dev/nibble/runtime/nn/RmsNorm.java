package dev.nibble.runtime.nn;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.weights.ComponentWeights;
import java.util.Optional;

/// Root mean square norm over the last axis (Zhang and Sennrich, arXiv:1910.07467).
///
/// @param weight `[D]`
/// @param eps added to the mean of squares
public record RmsNorm(Tensor weight, float eps) {
  /// The norm `name.weight`.
  public static RmsNorm load(ComponentWeights weights, String name, int size, float eps) {
    return new RmsNorm(weights.tensor(name + ".weight", size), eps);
  }

  /// The shape stays.
  public Tensor apply(Tensor x, Ops ops) {
    return ops.rmsNorm(x, Optional.of(weight), eps);
  }
}
