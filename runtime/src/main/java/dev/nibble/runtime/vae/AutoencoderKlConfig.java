package dev.nibble.runtime.vae;

import dev.nibble.runtime.weights.ModelConfig;
import java.util.List;

/// The `config.json` of diffusers' `AutoencoderKL`, with its defaults.
///
/// @param channels of each level (`block_out_channels`), from the picture inwards
/// @param layersPerBlock ResNets of a level of the encoder; the decoder has one more
/// @param latentChannels of the latents
/// @param groups of every group norm
/// @param midAttention whether the middle has attention
/// @param quantConv whether a 1x1 convolution follows the encoder
/// @param postQuantConv whether one precedes the decoder
/// @param scalingFactor latents are `(sample - shiftFactor) · scalingFactor`
/// @param shiftFactor see `scalingFactor`
record AutoencoderKlConfig(
    List<Integer> channels,
    int layersPerBlock,
    int latentChannels,
    int groups,
    boolean midAttention,
    boolean quantConv,
    boolean postQuantConv,
    float scalingFactor,
    float shiftFactor) {
  /// @throws dev.nibble.formats.UnsupportedException if it is another autoencoder's, or has blocks
  ///   of another kind
  static AutoencoderKlConfig of(ModelConfig config) {
    config.require("_class_name", "AutoencoderKL");
    config.requireAll("down_block_types", "DownEncoderBlock2D");
    config.requireAll("up_block_types", "UpDecoderBlock2D");
    config.require("act_fn", "silu");
    config.require("in_channels", 3);
    config.require("out_channels", 3);
    config.requireNone("latents_mean");
    config.requireNone("latents_std");
    List<Integer> channels = config.integers("block_out_channels");
    int groups = config.count("norm_num_groups", 32);
    if (channels.stream().anyMatch(width -> width < 1 || width % groups != 0)) {
      throw config.wrong(
          "block_out_channels that are multiples of norm_num_groups, " + groups,
          channels.toString());
    }
    return new AutoencoderKlConfig(
        channels,
        config.count("layers_per_block", 1),
        config.count("latent_channels", 4),
        groups,
        config.flag("mid_block_add_attention", true),
        config.flag("use_quant_conv", true),
        config.flag("use_post_quant_conv", true),
        (float) config.number("scaling_factor", 0.18215),
        (float) config.number("shift_factor", 0));
  }

  /// Channels of the innermost level.
  int innermost() {
    return channels.getLast();
  }

  /// Pixels of a picture's side for each of its latents'.
  int compression() {
    return 1 << (channels.size() - 1);
  }
}
