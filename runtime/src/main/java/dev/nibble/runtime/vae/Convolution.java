package dev.nibble.runtime.vae;

import dev.nibble.runtime.tensor.Conv2d;
import dev.nibble.runtime.tensor.LinearWeight;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.weights.ComponentWeights;
import java.util.Optional;

/// A convolution with bias.
record Convolution(LinearWeight weight, Tensor bias, Conv2d geometry) implements Layer {
  /// Loads `name.weight` `[out, in, kernel, kernel]` and `name.bias` `[out]`.
  static Convolution load(ComponentWeights weights, String name, int out, int in, Conv2d geometry) {
    return new Convolution(
        weights.conv2d(name + ".weight", out, in, geometry.kernel()),
        weights.tensor(name + ".bias", out),
        geometry);
  }

  @Override
  public Tensor apply(Tensor x, Ops ops) {
    return ops.conv2d(x, weight, Optional.of(bias), geometry);
  }
}
