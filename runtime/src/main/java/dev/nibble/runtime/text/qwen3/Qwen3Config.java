package dev.nibble.runtime.text.qwen3;

import dev.nibble.runtime.nn.RotaryEmbedding;
import dev.nibble.runtime.tensor.RopeTable;
import dev.nibble.runtime.weights.ModelConfig;
import java.util.List;

/// Sizes of a Qwen3 model, from the `config.json` of transformers' `Qwen3Model` or
/// `Qwen3ForCausalLM`.
///
/// @param vocabulary rows of the embedding
/// @param hidden width of a token
/// @param layers of the whole model
/// @param heads of queries
/// @param keyValueHeads of keys and values; heads is a multiple
/// @param feedForward hidden width of the feed-forward
/// @param eps of every norm
/// @param rope over a head
record Qwen3Config(
    int vocabulary,
    int hidden,
    int layers,
    int heads,
    int keyValueHeads,
    int feedForward,
    float eps,
    RotaryEmbedding rope) {
  private static final String ROPE = "rope_parameters";

  /// Reads a configuration of transformers 4 or 5, which writes the rope's theta to another place.
  static Qwen3Config of(ModelConfig config) {
    config.require("model_type", "qwen3");
    config.require("hidden_act", "silu");
    config.require("attention_bias", false);
    config.require("use_sliding_window", false);
    config.requireNone("rope_scaling");
    if (config.has(ROPE)) {
      config.object(ROPE).require("rope_type", "default");
    }
    ModelConfig rope = config.has("rope_theta") ? config : config.object(ROPE);
    int heads = config.count("num_attention_heads");
    int keyValueHeads = config.count("num_key_value_heads");
    if (heads % keyValueHeads != 0) {
      throw config.wrong(
          "num_attention_heads that is a multiple of num_key_value_heads",
          heads + " and " + keyValueHeads);
    }
    int headDim = config.count("head_dim");
    if (headDim % 2 != 0) {
      throw config.wrong("an even head_dim", String.valueOf(headDim));
    }
    return new Qwen3Config(
        config.count("vocab_size"),
        config.count("hidden_size"),
        config.count("num_hidden_layers"),
        heads,
        keyValueHeads,
        config.count("intermediate_size"),
        (float) config.number("rms_norm_eps"),
        new RotaryEmbedding(rope.number("rope_theta"), List.of(headDim), RopeTable.Pairs.HALVES));
  }

  int headDim() {
    return rope.headDim();
  }
}
