package dev.nibble.runtime.vae;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.weights.ComponentWeights;

/// Normalization of groups of channels (Wu and He, arXiv:1803.08494), eps 1e-6 everywhere in an
/// autoencoder.
record GroupNorm(Tensor weight, Tensor bias, int groups) implements Layer {
  private static final float EPS = 1e-6f;

  /// Loads `name.weight` and `name.bias`, both `[channels]`.
  static GroupNorm load(ComponentWeights weights, String name, int channels, int groups) {
    return new GroupNorm(
        weights.tensor(name + ".weight", channels),
        weights.tensor(name + ".bias", channels),
        groups);
  }

  @Override
  public Tensor apply(Tensor x, Ops ops) {
    return ops.groupNorm(x, groups, weight, bias, EPS);
  }

  /// This norm, then SiLU.
  Layer thenSilu() {
    return (x, ops) -> ops.groupNormSilu(x, groups, weight, bias, EPS);
  }
}
