package dev.nibble.runtime.models.zimage;

import dev.nibble.runtime.nn.Linear;
import dev.nibble.runtime.nn.RmsNorm;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.weights.ComponentWeights;

/// Self-attention with norms on query and key.
///
/// @param heads that share the width
record ZImageAttention(
    Linear toQ, Linear toK, Linear toV, Linear toOut, RmsNorm normQ, RmsNorm normK, int heads) {
  /// Norms of query and key have an epsilon of their own.
  private static final float QK_EPS = 1e-5f;

  static ZImageAttention load(ComponentWeights weights, String name, ZImageConfig config) {
    int dim = config.dim();
    return new ZImageAttention(
        Linear.unbiased(weights, name + ".to_q", dim, dim),
        Linear.unbiased(weights, name + ".to_k", dim, dim),
        Linear.unbiased(weights, name + ".to_v", dim, dim),
        Linear.unbiased(weights, name + ".to_out.0", dim, dim),
        RmsNorm.load(weights, name + ".norm_q", config.headDim(), QK_EPS),
        RmsNorm.load(weights, name + ".norm_k", config.headDim(), QK_EPS),
        config.heads());
  }

  /// `[B, T, dim]`, the shape stays.
  Tensor apply(Tensor x, Sequence sequence, Ops ops) {
    try (Region region = ops.region()) {
      Tensor q = normQ.turned(heads(toQ.apply(x, ops)), sequence.rope(), ops);
      Tensor k = normK.turned(heads(toK.apply(x, ops)), sequence.rope(), ops);
      Tensor v = heads(toV.apply(x, ops));
      Tensor mixed = ops.attention(q, k, v, sequence.options());
      return region.keep(toOut.apply(mixed.reshape(x.dim(0), x.dim(1), x.dim(2)), ops));
    }
  }

  private Tensor heads(Tensor x) {
    return x.reshape(x.dim(0), x.dim(1), heads, x.dim(2) / heads);
  }
}
