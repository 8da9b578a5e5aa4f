package dev.nibble.runtime.models.zimage;

import dev.nibble.runtime.models.BlockState;
import dev.nibble.runtime.models.Branch;
import dev.nibble.runtime.models.Branches;
import dev.nibble.runtime.nn.Linear;
import dev.nibble.runtime.nn.RmsNorm;
import dev.nibble.runtime.nn.SwiGlu;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.weights.ComponentWeights;
import java.util.Optional;

/// A block with a norm before and after each module. Blocks of the context refiner know no time:
/// they have no modulation.
///
/// With `s`, `g` from the time: `x += tanh(g1) · RMS2(attention(RMS1(x) · (1 + s1)))`, then the
/// same with the feed-forward.
record ZImageBlock(
    ZImageAttention attention,
    RmsNorm attentionNorm1,
    RmsNorm attentionNorm2,
    SwiGlu feedForward,
    RmsNorm ffnNorm1,
    RmsNorm ffnNorm2,
    Optional<Linear> adaLnModulation) {

  static ZImageBlock load(
      ComponentWeights weights, String name, ZImageConfig config, boolean modulated) {
    int dim = config.dim();
    int hidden = config.hiddenDim();
    String feedForward = name + ".feed_forward";
    return new ZImageBlock(
        ZImageAttention.load(weights, name + ".attention", config),
        RmsNorm.load(weights, name + ".attention_norm1", dim, config.eps()),
        RmsNorm.load(weights, name + ".attention_norm2", dim, config.eps()),
        new SwiGlu(
            Linear.unbiased(weights, feedForward + ".w1", hidden, dim),
            Linear.unbiased(weights, feedForward + ".w3", hidden, dim),
            Linear.unbiased(weights, feedForward + ".w2", dim, hidden)),
        RmsNorm.load(weights, name + ".ffn_norm1", dim, config.eps()),
        RmsNorm.load(weights, name + ".ffn_norm2", dim, config.eps()),
        modulated
            ? Optional.of(
                Linear.biased(weights, name + ".adaLN_modulation.0", 4 * dim, config.timeDim()))
            : Optional.empty());
  }

  /// What the time does to a block, `[1, 1, dim]` each; gates before their tanh.
  private record Modulation(Tensor scaleMsa, Tensor gateMsa, Tensor scaleMlp, Tensor gateMlp) {}

  private Optional<Modulation> modulation(Optional<Tensor> time, Ops ops) {
    if (adaLnModulation.isEmpty()) {
      return Optional.empty();
    }
    Tensor all = adaLnModulation.get().apply(time.orElseThrow(), ops);
    Tensor parts = all.reshape(4, 1, all.dim(-1) / 4);
    return Optional.of(
        new Modulation(parts.rows(0, 1), parts.rows(1, 2), parts.rows(2, 3), parts.rows(3, 4)));
  }

  /// The block's output, `[B, T, dim]`.
  ///
  /// @param time embedding `[1, min(dim, 256)]`, for a block with modulation
  Tensor apply(
      int index, Tensor x, Optional<Tensor> time, Sequence sequence, Branches branches, Ops ops) {
    try (Region region = ops.region()) {
      Optional<Modulation> modulation = modulation(time, ops);
      Tensor mixed =
          branches
              .output(
                  index,
                  Branch.ATTENTION,
                  () ->
                      BlockState.of(
                          attention.apply(
                              normed(attentionNorm1, x, modulation.map(Modulation::scaleMsa), ops),
                              sequence,
                              ops)))
              .hidden();
      Tensor middle = attentionNorm2.added(x, modulation.map(Modulation::gateMsa), mixed, ops);
      Tensor fed =
          branches
              .output(
                  index,
                  Branch.FEED_FORWARD,
                  () ->
                      BlockState.of(
                          feedForward.apply(
                              normed(ffnNorm1, middle, modulation.map(Modulation::scaleMlp), ops),
                              ops)))
              .hidden();
      return region.keep(ffnNorm2.added(middle, modulation.map(Modulation::gateMlp), fed, ops));
    }
  }

  /// Input of the attention: normed and modulated.
  Tensor modulatedInput(Tensor x, Tensor time, Ops ops) {
    try (Region region = ops.region()) {
      Optional<Modulation> modulation = modulation(Optional.of(time), ops);
      return region.keep(normed(attentionNorm1, x, modulation.map(Modulation::scaleMsa), ops));
    }
  }

  private static Tensor normed(RmsNorm norm, Tensor x, Optional<Tensor> scale, Ops ops) {
    return scale.isPresent() ? norm.modulated(x, scale.get(), ops) : norm.apply(x, ops);
  }
}
