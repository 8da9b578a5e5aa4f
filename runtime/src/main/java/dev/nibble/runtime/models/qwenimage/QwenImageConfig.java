package dev.nibble.runtime.models.qwenimage;

import dev.nibble.runtime.nn.RotaryEmbedding;
import dev.nibble.runtime.tensor.RopeTable;
import dev.nibble.runtime.weights.ModelConfig;

/// Sizes of a Qwen-Image transformer, from the `config.json` of `QwenImageTransformer2DModel`.
///
/// @param outChannels channels of the latents
/// @param layers blocks
/// @param heads of the attention
/// @param headDim width of a head
/// @param textDim width of the text features
/// @param rope of the axes frame, row, column
record QwenImageConfig(
    int outChannels, int layers, int heads, int headDim, int textDim, RotaryEmbedding rope) {
  private static final double THETA = 10000;

  static QwenImageConfig read(ModelConfig json) {
    json.require("guidance_embeds", false);
    json.require("zero_cond_t", false);
    json.require("use_additional_t_cond", false);
    json.require("use_layer3d_rope", false);
    json.require("patch_size", PackedLatents.PATCH);
    QwenImageConfig config =
        new QwenImageConfig(
            json.integer("out_channels"),
            json.integer("num_layers"),
            json.integer("num_attention_heads"),
            json.integer("attention_head_dim"),
            json.integer("joint_attention_dim"),
            new RotaryEmbedding(THETA, json.integers("axes_dims_rope"), RopeTable.Pairs.ADJACENT));
    if (config.rope.headDim() != config.headDim) {
      throw json.wrong(
          "axes_dims_rope whose sum is attention_head_dim",
          config.rope.axesDims() + " and " + config.headDim);
    }
    if (json.integer("in_channels") != config.patchDim()) {
      throw json.wrong(
          "in_channels of " + config.patchDim() + ", a patch of 2x2 of out_channels",
          Integer.toString(json.integer("in_channels")));
    }
    return config;
  }

  int dim() {
    return heads * headDim;
  }

  /// Numbers of a patch.
  int patchDim() {
    return PackedLatents.PATCH * PackedLatents.PATCH * outChannels;
  }
}
