package dev.nibble.runtime.vae;

import dev.nibble.runtime.tensor.Conv2d;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.weights.ComponentWeights;
import java.util.ArrayList;
import java.util.List;

/// The half of an autoencoder that reads pictures: `[1, H, W, 3]` to the moments of latents, `[1,
/// h, w, 2 · latent channels]`, means first, then logarithms of variances. Names are those of
/// diffusers' `AutoencoderKL` (`models/autoencoders/vae.py`).
///
/// @param levels one a resolution, from the picture's own downwards: each takes what the one before
///   gave, halves it (the first doesn't), and gives the features of its resolution
/// @param end from the last level's features to the moments
record Encoder(List<Coder> levels, Coder end) implements Layer {
  /// Halves the picture: diffusers pads by a row and a column of zeros at the end alone.
  private static final Conv2d DOWN = new Conv2d(3, 2, 0, 0, 1, 1);

  Encoder {
    levels = List.copyOf(levels);
  }

  static Encoder load(ComponentWeights weights, AutoencoderKlConfig config) {
    List<Coder> levels = new ArrayList<>();
    int width = config.channels().getFirst();
    List<Layer> layers = new ArrayList<>();
    layers.add(Convolution.load(weights, "encoder.conv_in", width, 3, Conv2d.SAME_3X3));
    for (int level = 0; level < config.channels().size(); level++) {
      String block = "encoder.down_blocks." + level;
      int out = config.channels().get(level);
      Coder.addResnets(
          layers, weights, block, out, width, config.layersPerBlock(), config.groups());
      levels.add(new Coder(layers));
      layers.clear();
      width = out;
      if (level < config.channels().size() - 1) {
        layers.add(Convolution.load(weights, block + ".downsamplers.0.conv", width, width, DOWN));
      }
    }
    Coder.addMiddle(layers, weights, "encoder.mid_block", config);
    int moments = 2 * config.latentChannels();
    Coder.addEnd(layers, weights, "encoder", moments, width, config.groups());
    if (config.quantConv()) {
      layers.add(Convolution.load(weights, "quant_conv", moments, moments, Conv2d.POINTWISE));
    }
    return new Encoder(levels, new Coder(layers));
  }

  @Override
  public Tensor apply(Tensor x, Ops ops) {
    List<Layer> parts = new ArrayList<>(levels);
    parts.add(end);
    return Layer.chain(x, parts, ops);
  }
}
