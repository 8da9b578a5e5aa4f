package dev.nibble.runtime.calibration;

import java.util.Arrays;
import java.util.Locale;

/// How much the rows of each denoising step count: every row x of a step of weight w is recorded as
/// `sqrt(w) · x`. Weights are 1 in the mean.
public enum StepWeights {
  /// By `(sigma[i] - sigma[i + 1])²`: what an error of the velocity in that step adds to the
  /// squared error of the latents. The last steps, whose errors no later step mends, are the
  /// longest.
  STEP_SQUARED {
    @Override
    float[] of(float[] sigmas) {
      float[] weights = new float[sigmas.length - 1];
      double sum = 0;
      for (int i = 0; i < weights.length; i++) {
        float step = sigmas[i] - sigmas[i + 1];
        weights[i] = step * step;
        sum += weights[i];
      }
      for (int i = 0; i < weights.length; i++) {
        weights[i] = (float) (weights[i] * weights.length / sum);
      }
      return weights;
    }
  },
  /// All the same: the plain inputs.
  UNIFORM {
    @Override
    float[] of(float[] sigmas) {
      float[] weights = new float[sigmas.length - 1];
      Arrays.fill(weights, 1);
      return weights;
    }
  };

  /// The weight of each step.
  ///
  /// @param sigmas noise levels, one a step and the last, which is lower
  abstract float[] of(float[] sigmas);

  /// As the command line and files call it: `step-squared`, `uniform`.
  public String id() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
