package dev.nibble.runtime.nn;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.tensor.Unary;
import dev.nibble.runtime.weights.ComponentWeights;

/// Feed-forward `second(gelu(first(x)))` with the tanh form of GELU.
///
/// @param first `[hidden, D]`
/// @param second `[D, hidden]`
public record GeluFeedForward(Linear first, Linear second) {
  /// The layers `name.net.0.proj` and `name.net.2` of diffusers' `FeedForward`.
  public static GeluFeedForward load(ComponentWeights weights, String name, int dim, int hidden) {
    return new GeluFeedForward(
        Linear.biased(weights, name + ".net.0.proj", hidden, dim),
        Linear.biased(weights, name + ".net.2", dim, hidden));
  }

  /// The shape stays.
  public Tensor apply(Tensor x, Ops ops) {
    try (Region region = ops.region()) {
      Tensor hidden = ops.unary(Unary.GELU_TANH, first.apply(x, ops));
      return region.keep(second.apply(hidden, ops));
    }
  }
}
