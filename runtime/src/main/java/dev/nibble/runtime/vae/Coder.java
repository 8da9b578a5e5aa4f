package dev.nibble.runtime.vae;

import dev.nibble.runtime.tensor.Conv2d;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.weights.ComponentWeights;
import java.util.ArrayList;
import java.util.List;

/// A part of an autoencoder: layers one after the other. Names are those of diffusers'
/// `AutoencoderKL` (`models/autoencoders/vae.py`).
record Coder(List<Layer> layers) implements Layer {
  Coder {
    layers = List.copyOf(layers);
  }

  /// Latents to picture: `[1, h, w, latent channels]` to `[1, H, W, 3]`.
  static Coder decoder(ComponentWeights weights, AutoencoderKlConfig config) {
    List<Layer> layers = new ArrayList<>();
    int latent = config.latentChannels();
    int width = config.innermost();
    if (config.postQuantConv()) {
      layers.add(Convolution.load(weights, "post_quant_conv", latent, latent, Conv2d.POINTWISE));
    }
    layers.add(Convolution.load(weights, "decoder.conv_in", width, latent, Conv2d.SAME_3X3));
    addMiddle(layers, weights, "decoder.mid_block", config);
    List<Integer> outwards = config.channels().reversed();
    for (int level = 0; level < outwards.size(); level++) {
      String block = "decoder.up_blocks." + level;
      int out = outwards.get(level);
      addResnets(layers, weights, block, out, width, config.layersPerBlock() + 1, config.groups());
      width = out;
      if (level < outwards.size() - 1) {
        layers.add((x, ops) -> ops.upsampleNearest2x(x));
        layers.add(
            Convolution.load(weights, block + ".upsamplers.0.conv", width, width, Conv2d.SAME_3X3));
      }
    }
    addEnd(layers, weights, "decoder", 3, width, config.groups());
    return new Coder(layers);
  }

  static void addMiddle(
      List<Layer> layers, ComponentWeights weights, String name, AutoencoderKlConfig config) {
    int width = config.innermost();
    int groups = config.groups();
    layers.add(Resnet.load(weights, name + ".resnets.0", width, width, groups));
    if (config.midAttention()) {
      layers.add(SelfAttention.load(weights, name + ".attentions.0", width, groups));
    }
    layers.add(Resnet.load(weights, name + ".resnets.1", width, width, groups));
  }

  static void addResnets(
      List<Layer> layers,
      ComponentWeights weights,
      String block,
      int out,
      int in,
      int count,
      int groups) {
    for (int i = 0; i < count; i++) {
      layers.add(Resnet.load(weights, block + ".resnets." + i, out, i == 0 ? in : out, groups));
    }
  }

  static void addEnd(
      List<Layer> layers, ComponentWeights weights, String name, int out, int in, int groups) {
    layers.add(GroupNorm.load(weights, name + ".conv_norm_out", in, groups).thenSilu());
    layers.add(Convolution.load(weights, name + ".conv_out", out, in, Conv2d.SAME_3X3));
  }

  @Override
  public Tensor apply(Tensor x, Ops ops) {
    return Layer.chain(x, layers, ops);
  }
}
