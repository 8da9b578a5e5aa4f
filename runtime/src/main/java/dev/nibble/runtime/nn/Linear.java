package dev.nibble.runtime.nn;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.weights.ComponentWeights;
import dev.nibble.runtime.weights.LayerWeight;
import java.util.Optional;

/// A linear layer over any weight: dense, quantized, with a branch or an input scale beside it.
///
/// @param weight `[out, in]`
/// @param bias `[out]`
public record Linear(LayerWeight weight, Optional<Tensor> bias) {
  /// The layer `name.weight` and `name.bias`.
  public static Linear biased(ComponentWeights weights, String name, int out, int in) {
    return new Linear(
        weights.layer(name + ".weight", out, in), Optional.of(weights.tensor(name + ".bias", out)));
  }

  /// The layer `name.weight` alone.
  public static Linear unbiased(ComponentWeights weights, String name, int out, int in) {
    return new Linear(weights.layer(name + ".weight", out, in), Optional.empty());
  }

  /// `[..., in]` to `[..., out]`.
  public Tensor apply(Tensor x, Ops ops) {
    return weight.apply(x, bias, ops);
  }
}
