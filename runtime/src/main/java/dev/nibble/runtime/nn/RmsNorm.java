package dev.nibble.runtime.nn;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.RopeTable;
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

  /// Norm and modulation of `[B, T, D]`.
  ///
  /// @param scale `[B, 1, D]`
  public Tensor modulated(Tensor x, Tensor scale, Ops ops) {
    return ops.rmsNormModulated(x, weight, eps, scale);
  }

  /// Norm of each head of `[B, T, H, D]`, then its turn.
  public Tensor turned(Tensor x, RopeTable table, Ops ops) {
    return ops.rmsNormRope(x, weight, eps, table);
  }

  /// `x` and the norm of `y`, gated by the tanh of a gate if there is one.
  ///
  /// @param gate `[B, 1, D]`
  public Tensor added(Tensor x, Optional<Tensor> gate, Tensor y, Ops ops) {
    return ops.addRmsNorm(x, gate, y, weight, eps);
  }
}
