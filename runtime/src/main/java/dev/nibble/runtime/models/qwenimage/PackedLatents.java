package dev.nibble.runtime.models.qwenimage;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;

/// Latents as tokens of 2x2 pixels, channels slowest: FLUX's packing.
final class PackedLatents {
  static final int PATCH = 2;

  private PackedLatents() {}

  /// `[1, C, h, w]` to `[1, h/2 · w/2, 4C]`.
  static Tensor pack(Tensor latents, Ops ops) {
    int channels = latents.dim(1);
    int height = latents.dim(2) / PATCH;
    int width = latents.dim(3) / PATCH;
    return ops.permute(latents.reshape(channels, height, PATCH, width, PATCH), 1, 3, 0, 2, 4)
        .reshape(1, (long) height * width, (long) channels * PATCH * PATCH);
  }

  /// The way back.
  ///
  /// @param height in tokens
  /// @param width in tokens
  static Tensor unpack(Tensor tokens, int height, int width, Ops ops) {
    int channels = tokens.dim(-1) / (PATCH * PATCH);
    return ops.permute(tokens.reshape(height, width, channels, PATCH, PATCH), 2, 0, 3, 1, 4)
        .reshape(1, channels, (long) height * PATCH, (long) width * PATCH);
  }
}
