package dev.nibble.runtime.vae;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;

/// The normal distribution of a picture's latents, before scaling.
///
/// @param mean `[1, C, h, w]`
/// @param logvar logarithms of variances, as `mean`; between -30 and 20
public record Posterior(Tensor mean, Tensor logvar) {
  /// `mean + exp(logvar / 2) · noise`.
  ///
  /// @param noise standard normal, as `mean`
  public Tensor sample(Tensor noise, Ops ops) {
    // Latents are small: a function of its own in Ops would be for this alone.
    float[] means = ops.toHost(mean);
    float[] logvars = ops.toHost(logvar);
    float[] values = ops.toHost(noise);
    for (int i = 0; i < values.length; i++) {
      values[i] = means[i] + (float) Math.exp(0.5f * logvars[i]) * values[i];
    }
    return ops.fromHost(values, 1, mean.dim(1), mean.dim(2), mean.dim(3));
  }
}
