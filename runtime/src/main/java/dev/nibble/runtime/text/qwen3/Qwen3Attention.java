package dev.nibble.runtime.text.qwen3;

import dev.nibble.runtime.nn.Linear;
import dev.nibble.runtime.nn.RmsNorm;
import dev.nibble.runtime.tensor.AttentionBias;
import dev.nibble.runtime.tensor.AttentionOptions;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.RopeTable;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.weights.ComponentWeights;

/// Causal attention in which several heads of queries share one of keys and values (grouped-query
/// attention, Ainslie et al., arXiv:2305.13245); queries and keys are normalized before they turn.
record Qwen3Attention(
    Linear qProj,
    Linear kProj,
    Linear vProj,
    Linear oProj,
    RmsNorm qNorm,
    RmsNorm kNorm,
    int headDim) {
  private static final AttentionOptions CAUSAL =
      AttentionOptions.DEFAULT.withBias(new AttentionBias.LowerTriangular());

  static Qwen3Attention load(ComponentWeights weights, String name, Qwen3Config config) {
    int hidden = config.hidden();
    int headDim = config.headDim();
    int queries = config.heads() * headDim;
    int keys = config.keyValueHeads() * headDim;
    return new Qwen3Attention(
        Linear.unbiased(weights, name + ".q_proj", queries, hidden),
        Linear.unbiased(weights, name + ".k_proj", keys, hidden),
        Linear.unbiased(weights, name + ".v_proj", keys, hidden),
        Linear.unbiased(weights, name + ".o_proj", hidden, queries),
        RmsNorm.load(weights, name + ".q_norm", headDim, config.eps()),
        RmsNorm.load(weights, name + ".k_norm", headDim, config.eps()),
        headDim);
  }

  /// `[1, T, hidden]`, the shape stays.
  Tensor apply(Tensor x, RopeTable rope, Ops ops) {
    try (Region region = ops.region()) {
      Tensor q = qNorm.turned(heads(qProj.apply(x, ops)), rope, ops);
      Tensor k = kNorm.turned(heads(kProj.apply(x, ops)), rope, ops);
      Tensor v = heads(vProj.apply(x, ops));
      Tensor mixed = ops.attention(q, k, v, CAUSAL);
      return region.keep(
          oProj.apply(mixed.reshape(1, x.dim(1), (long) mixed.dim(2) * headDim), ops));
    }
  }

  private Tensor heads(Tensor x) {
    return x.reshape(1, x.dim(1), x.dim(2) / headDim, headDim);
  }
}
