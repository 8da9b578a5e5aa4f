package dev.nibble.runtime.nn;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.tensor.Unary;

/// A time as a vector: sinusoids `[cos | sin]` of frequencies `10000^(-k/half)` through Linear,
/// SiLU, Linear (`Timesteps` with `flip_sin_to_cos` and no frequency shift in diffusers).
///
/// @param first `[hidden, sinusoids]`
/// @param second `[out, hidden]`
public record TimestepEmbedding(Linear first, Linear second) {
  private static final double MAX_PERIOD = 10000;

  /// `[1, out]`.
  ///
  /// @param time already scaled, 0 to 1000
  public Tensor apply(float time, Ops ops) {
    try (Region region = ops.region()) {
      int width = first.weight().matrix().inFeatures();
      Tensor waves = ops.fromHost(sinusoids(time, width), 1, width);
      Tensor hidden = ops.unary(Unary.SILU, first.apply(waves, ops));
      return region.keep(second.apply(hidden, ops));
    }
  }

  private static float[] sinusoids(float time, int width) {
    int half = width / 2;
    float[] waves = new float[width];
    for (int k = 0; k < half; k++) {
      float frequency = (float) Math.exp((float) (-Math.log(MAX_PERIOD) * k) / half);
      float angle = time * frequency;
      waves[k] = (float) Math.cos(angle);
      waves[half + k] = (float) Math.sin(angle);
    }
    return waves;
  }
}
