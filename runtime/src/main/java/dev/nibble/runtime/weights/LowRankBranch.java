package dev.nibble.runtime.weights;

import dev.nibble.runtime.tensor.LinearWeight;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.util.Optional;

/// `up·down` beside a weight: the branch of SVDQuant (arXiv:2411.05007), and of a LoRA
/// (arXiv:2106.09685).
///
/// @param down `[rank, in]`
/// @param up `[out, rank]`
public record LowRankBranch(LinearWeight down, LinearWeight up) {
  /// `y + (x·downᵀ)·upᵀ`.
  ///
  /// @param y `[..., out]`
  /// @param x `[..., in]`
  public Tensor addTo(Tensor y, Tensor x, Ops ops) {
    try (Region region = ops.region()) {
      Tensor low = ops.linear(x, down, Optional.empty());
      return region.keep(ops.add(y, ops.linear(low, up, Optional.empty())));
    }
  }
}
