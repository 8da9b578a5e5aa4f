package dev.nibble.runtime.models.qwenimage;

import dev.nibble.runtime.models.BlockState;
import dev.nibble.runtime.nn.Linear;
import dev.nibble.runtime.nn.RmsNorm;
import dev.nibble.runtime.tensor.AttentionOptions;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.RopeTable;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.weights.ComponentWeights;
import java.util.List;

/// Attention over both streams at once, in the order [text, picture], each with projections of its
/// own.
record JointAttention(Projections image, Projections text) {
  /// Norms of query and key.
  private static final float EPS = 1e-6f;

  /// What one stream brings.
  private record Projections(
      Linear q, Linear k, Linear v, Linear out, RmsNorm normQ, RmsNorm normK, int heads) {
    Tensor query(Tensor x, Ops ops) {
      return normQ.apply(heads(q.apply(x, ops)), ops);
    }

    Tensor key(Tensor x, Ops ops) {
      return normK.apply(heads(k.apply(x, ops)), ops);
    }

    Tensor value(Tensor x, Ops ops) {
      return heads(v.apply(x, ops));
    }

    private Tensor heads(Tensor x) {
      return x.reshape(x.dim(0), x.dim(1), heads, x.dim(2) / heads);
    }
  }

  static JointAttention load(ComponentWeights weights, String name, QwenImageConfig config) {
    return new JointAttention(
        projections(
            weights,
            config,
            List.of(
                name + ".to_q",
                name + ".to_k",
                name + ".to_v",
                name + ".to_out.0",
                name + ".norm_q",
                name + ".norm_k")),
        projections(
            weights,
            config,
            List.of(
                name + ".add_q_proj",
                name + ".add_k_proj",
                name + ".add_v_proj",
                name + ".to_add_out",
                name + ".norm_added_q",
                name + ".norm_added_k")));
  }

  private static Projections projections(
      ComponentWeights weights, QwenImageConfig config, List<String> names) {
    int dim = config.dim();
    return new Projections(
        Linear.biased(weights, names.get(0), dim, dim),
        Linear.biased(weights, names.get(1), dim, dim),
        Linear.biased(weights, names.get(2), dim, dim),
        Linear.biased(weights, names.get(3), dim, dim),
        RmsNorm.load(weights, names.get(4), config.headDim(), EPS),
        RmsNorm.load(weights, names.get(5), config.headDim(), EPS),
        config.heads());
  }

  /// Both streams' outputs, of their inputs' shapes `[1, T, dim]`.
  BlockState apply(Tensor imageInput, Tensor textInput, RopeTable rope, Ops ops) {
    try (Region region = ops.region()) {
      Tensor q = ops.concat(1, List.of(text.query(textInput, ops), image.query(imageInput, ops)));
      Tensor k = ops.concat(1, List.of(text.key(textInput, ops), image.key(imageInput, ops)));
      Tensor v = ops.concat(1, List.of(text.value(textInput, ops), image.value(imageInput, ops)));
      Tensor mixed =
          ops.attention(ops.rope(q, rope), ops.rope(k, rope), v, AttentionOptions.DEFAULT);
      int textTokens = textInput.dim(1);
      int tokens = mixed.dim(1);
      Tensor rows = mixed.reshape(tokens, imageInput.dim(2));
      Tensor textOut = text.out().apply(rows.rows(0, textTokens), ops);
      Tensor imageOut = image.out().apply(rows.rows(textTokens, tokens), ops);
      return BlockState.of(
          region.keep(imageOut).reshape(1, imageInput.dim(1), imageInput.dim(2)),
          region.keep(textOut).reshape(1, textTokens, textInput.dim(2)));
    }
  }
}
