package dev.nibble.runtime.models.zimage;

import dev.nibble.runtime.nn.RotaryEmbedding;
import dev.nibble.runtime.tensor.RopeTable;
import dev.nibble.runtime.weights.ModelConfig;

/// Sizes of a Z-Image transformer, from the `config.json` of `ZImageTransformer2DModel`.
///
/// @param inChannels of the latents
/// @param patch latent pixels a token is wide and high
/// @param dim width of a token
/// @param layers blocks that step caches may skip
/// @param refinerLayers blocks of each refiner
/// @param heads of the attention
/// @param captionDim width of the text features
/// @param eps of the norms in the blocks
/// @param timeScale what the time in 0..1 is multiplied by
/// @param rope of the axes caption or frame, row, column
record ZImageConfig(
    int inChannels,
    int patch,
    int dim,
    int layers,
    int refinerLayers,
    int heads,
    int captionDim,
    float eps,
    float timeScale,
    RotaryEmbedding rope) {
  /// Captions and pictures are padded to multiples of this many tokens.
  static final int SEQUENCE_MULTIPLE = 32;

  static ZImageConfig read(ModelConfig json) {
    json.require("n_kv_heads", json.integer("n_heads"));
    json.require("qk_norm", true);
    json.requireNone("siglip_feat_dim");
    json.requireFirst("all_f_patch_size", 1);
    ZImageConfig config =
        new ZImageConfig(
            json.integer("in_channels"),
            json.integers("all_patch_size").getFirst(),
            json.integer("dim"),
            json.integer("n_layers"),
            json.integer("n_refiner_layers"),
            json.integer("n_heads"),
            json.integer("cap_feat_dim"),
            (float) json.number("norm_eps"),
            (float) json.number("t_scale"),
            new RotaryEmbedding(
                json.number("rope_theta"), json.integers("axes_dims"), RopeTable.Pairs.ADJACENT));
    if (config.rope.headDim() * config.heads != config.dim) {
      throw json.wrong(
          "axes_dims whose sum is dim / n_heads",
          config.rope.axesDims() + ", " + config.dim + " / " + config.heads);
    }
    return config;
  }

  int headDim() {
    return dim / heads;
  }

  /// Hidden width of the feed-forward.
  int hiddenDim() {
    return (int) (dim / 3.0 * 8);
  }

  /// Width of the time embedding.
  int timeDim() {
    return Math.min(dim, 256);
  }

  /// Numbers of a patch.
  int patchDim() {
    return patch * patch * inChannels;
  }
}
