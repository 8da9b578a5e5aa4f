package dev.nibble.runtime.vae;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.weights.ComponentWeights;
import dev.nibble.runtime.weights.ModelConfig;
import java.util.Optional;

/// The autoencoder between pictures and latents of Stable Diffusion, FLUX and Z-Image: diffusers'
/// `AutoencoderKL` (Rombach et al., arXiv:2112.10752). Borrows its weights. Immutable and
/// thread-safe: each session brings its own {@link Ops}.
public final class AutoencoderKl {
  private final AutoencoderKlConfig config;
  private final Coder decoder;
  private final Optional<Encoder> encoder;

  private AutoencoderKl(AutoencoderKlConfig config, Coder decoder, Optional<Encoder> encoder) {
    this.config = config;
    this.decoder = decoder;
    this.encoder = encoder;
  }

  /// Loads the decoder alone, which is all that drawing from text needs.
  ///
  /// @throws dev.nibble.formats.FormatException if the configuration or the weights are faulty
  /// @throws dev.nibble.formats.UnsupportedException if they are another autoencoder's
  public static AutoencoderKl decoder(ComponentWeights weights, ModelConfig config) {
    var own = AutoencoderKlConfig.of(config);
    return new AutoencoderKl(own, Coder.decoder(weights, own), Optional.empty());
  }

  /// Loads decoder and encoder.
  ///
  /// @throws dev.nibble.formats.FormatException if the configuration or the weights are faulty
  /// @throws dev.nibble.formats.UnsupportedException if they are another autoencoder's
  public static AutoencoderKl both(ComponentWeights weights, ModelConfig config) {
    var own = AutoencoderKlConfig.of(config);
    return new AutoencoderKl(
        own, Coder.decoder(weights, own), Optional.of(Encoder.load(weights, own)));
  }

  /// Channels of the latents.
  public int latentChannels() {
    return config.latentChannels();
  }

  /// Pixels of a picture's side for each of its latents': 8 in all known models.
  public int compression() {
    return config.compression();
  }

  /// Latents to picture.
  ///
  /// @param latents `[1, C, h, w]`, as a diffusion model has them: scaled
  /// @return `[1, H, W, 3]` in about -1..1
  public Tensor decode(Tensor latents, Ops ops) {
    if (latents.rank() != 4 || latents.dim(0) != 1 || latents.dim(1) != config.latentChannels()) {
      throw new IllegalArgumentException(
          "latents are [1, %d, h, w], not %s".formatted(config.latentChannels(), latents.shape()));
    }
    try (Region region = ops.region()) {
      Tensor scaled = ops.affine(latents, 1 / config.scalingFactor(), config.shiftFactor());
      return region.keep(decoder.apply(ops.permute(scaled, 0, 2, 3, 1), ops));
    }
  }

  /// Picture to the distribution of its latents.
  ///
  /// @param picture `[1, H, W, 3]` in -1..1; sides are multiples of {@link #compression}
  /// @throws IllegalStateException if the encoder wasn't loaded
  public Posterior encode(Tensor picture, Ops ops) {
    Encoder coder = encoder();
    requirePicture(picture);
    int channels = config.latentChannels();
    try (Region region = ops.region()) {
      Tensor moments = ops.permute(coder.apply(picture, ops), 0, 3, 1, 2);
      return new Posterior(
          region.keep(ops.slice(moments, 1, 0, channels)),
          region.keep(clamped(ops.slice(moments, 1, channels, 2 * channels), ops)));
    }
  }

  /// How far two pictures are apart for this autoencoder: {@link PerceptualDistance}.
  ///
  /// @param first `[1, H, W, 3]` in -1..1; sides are multiples of {@link #compression}
  /// @param second as `first`, and of its shape
  /// @throws IllegalStateException if the encoder wasn't loaded
  public double perceptualDistance(Tensor first, Tensor second, Ops ops) {
    Encoder coder = encoder();
    requirePicture(first);
    if (!first.shape().equals(second.shape())) {
      throw new IllegalArgumentException(
          "pictures %s and %s have nothing to compare".formatted(first.shape(), second.shape()));
    }
    return PerceptualDistance.between(first, second, coder.levels(), ops);
  }

  private Encoder encoder() {
    return encoder.orElseThrow(() -> new IllegalStateException("the encoder wasn't loaded"));
  }

  private void requirePicture(Tensor picture) {
    int multiple = config.compression();
    if (picture.rank() != 4
        || picture.dim(0) != 1
        || picture.dim(3) != 3
        || picture.dim(1) % multiple != 0
        || picture.dim(2) % multiple != 0) {
      throw new IllegalArgumentException(
          "a picture is [1, H, W, 3] with sides that are multiples of %d, not %s"
              .formatted(multiple, picture.shape()));
    }
  }

  /// Latents as a diffusion model takes them: `(sample - shift) · scale`, diffusers' order.
  ///
  /// @param sample of a {@link Posterior}
  public Tensor scale(Tensor sample, Ops ops) {
    try (Region region = ops.region()) {
      Tensor shifted = ops.affine(sample, 1, -config.shiftFactor());
      return region.keep(ops.affine(shifted, config.scalingFactor(), 0));
    }
  }

  private static Tensor clamped(Tensor logvar, Ops ops) {
    float[] values = ops.toHost(logvar);
    for (int i = 0; i < values.length; i++) {
      values[i] = Math.clamp(values[i], -30f, 20f);
    }
    return ops.fromHost(values, 1, logvar.dim(1), logvar.dim(2), logvar.dim(3));
  }
}
