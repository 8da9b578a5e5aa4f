package dev.nibble.runtime.models;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import java.util.List;

/// A transformer that predicts the velocity of a flow: noise minus picture. Immutable; any number
/// of sessions may use it at once.
public interface Denoiser {
  /// How predictions with and without the prompt are joined.
  Guidance guidance();

  /// Number of blocks that step caches may skip.
  int trunkBlocks();

  /// Channels of the latents.
  int latentChannels();

  /// Latent pixels that a token is wide and high.
  int patch();

  /// Width of the text features.
  int featureDim();

  /// What stays the same for all steps of a request.
  ///
  /// @param features of each item of the batch, `[tokens, D]`
  /// @param height of the latents, in latent pixels
  /// @param width of the latents
  /// @param ops whose innermost region owns the result
  Conditioning condition(List<Tensor> features, int height, int width, Ops ops);

  /// Prepared text and positions of one batch; made by a denoiser and understood by it alone.
  interface Conditioning {
    /// Items of the batch.
    int batch();
  }

  /// The velocity for each item of the conditioning's batch, at the same latents.
  ///
  /// @param latents `[1, C, h, w]`
  /// @param sigma noise level, 1 (noise) to 0 (picture)
  /// @param runner takes the state through the blocks
  /// @return `[B, C, h, w]`
  Tensor predict(
      Tensor latents, float sigma, Conditioning conditioning, TrunkRunner runner, Ops ops);
}
