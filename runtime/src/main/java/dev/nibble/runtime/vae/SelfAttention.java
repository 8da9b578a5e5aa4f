package dev.nibble.runtime.vae;

import dev.nibble.runtime.nn.Linear;
import dev.nibble.runtime.tensor.AttentionOptions;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.weights.ComponentWeights;

/// Attention of every position to every other, one head as wide as the features, with residual.
record SelfAttention(GroupNorm norm, Linear toQ, Linear toK, Linear toV, Linear toOut)
    implements Layer {
  static SelfAttention load(ComponentWeights weights, String name, int channels, int groups) {
    return new SelfAttention(
        GroupNorm.load(weights, name + ".group_norm", channels, groups),
        Linear.biased(weights, name + ".to_q", channels, channels),
        Linear.biased(weights, name + ".to_k", channels, channels),
        Linear.biased(weights, name + ".to_v", channels, channels),
        Linear.biased(weights, name + ".to_out.0", channels, channels));
  }

  @Override
  public Tensor apply(Tensor x, Ops ops) {
    try (Region region = ops.region()) {
      int tokens = x.dim(1) * x.dim(2);
      int channels = x.dim(3);
      Tensor h = norm.apply(x, ops).reshape(1, tokens, 1, channels);
      Tensor attended =
          ops.attention(
              toQ.apply(h, ops), toK.apply(h, ops), toV.apply(h, ops), AttentionOptions.DEFAULT);
      Tensor out = toOut.apply(attended, ops).reshape(1, x.dim(1), x.dim(2), channels);
      return region.keep(ops.add(x, out));
    }
  }
}
