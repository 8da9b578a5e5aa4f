package dev.nibble.runtime.text.qwen3;

import dev.nibble.runtime.nn.Linear;
import dev.nibble.runtime.nn.RmsNorm;
import dev.nibble.runtime.nn.SwiGlu;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.RopeTable;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.weights.ComponentWeights;

/// `x += attention(norm(x)); x += mlp(norm(x))`.
record Qwen3Layer(
    RmsNorm inputLayernorm, Qwen3Attention selfAttn, RmsNorm postAttentionLayernorm, SwiGlu mlp) {
  static Qwen3Layer load(ComponentWeights weights, String name, Qwen3Config config) {
    int hidden = config.hidden();
    int wide = config.feedForward();
    return new Qwen3Layer(
        RmsNorm.load(weights, name + ".input_layernorm", hidden, config.eps()),
        Qwen3Attention.load(weights, name + ".self_attn", config),
        RmsNorm.load(weights, name + ".post_attention_layernorm", hidden, config.eps()),
        new SwiGlu(
            Linear.unbiased(weights, name + ".mlp.gate_proj", wide, hidden),
            Linear.unbiased(weights, name + ".mlp.up_proj", wide, hidden),
            Linear.unbiased(weights, name + ".mlp.down_proj", hidden, wide)));
  }

  /// `[1, T, hidden]`, the shape stays.
  Tensor apply(Tensor x, RopeTable rope, Ops ops) {
    try (Region region = ops.region()) {
      Tensor attended = ops.add(x, selfAttn.apply(inputLayernorm.apply(x, ops), rope, ops));
      Tensor fed = mlp.apply(postAttentionLayernorm.apply(attended, ops), ops);
      return region.keep(ops.add(attended, fed));
    }
  }
}
