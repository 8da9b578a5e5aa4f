package dev.nibble.runtime.models.zimage;

import dev.nibble.runtime.models.Guidance;
import dev.nibble.runtime.models.GuidanceOptions;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.util.List;

/// Guidance of diffusers' `ZImagePipeline`: `positive + scale · (positive - negative)`, of both in
/// one batch.
record ZImageGuidance() implements Guidance {
  @Override
  public boolean batched() {
    return true;
  }

  @Override
  public double defaultScale() {
    return 5;
  }

  @Override
  public boolean active(double scale) {
    return scale > 0;
  }

  @Override
  public boolean activeAt(float sigma, GuidanceOptions options) {
    return 1 - sigma <= options.truncation();
  }

  @Override
  public Tensor combine(Tensor positive, Tensor negative, GuidanceOptions options, Ops ops) {
    try (Region region = ops.region()) {
      Tensor difference = ops.sub(positive, negative);
      Tensor guided =
          ops.linearCombination(
              new float[] {1, (float) options.scale()}, List.of(positive, difference));
      if (options.normalization() > 0) {
        float largest = (float) (ops.norm(positive) * options.normalization());
        float norm = ops.norm(guided);
        if (norm > largest) {
          guided = ops.affine(guided, largest / norm, 0);
        }
      }
      return region.keep(guided);
    }
  }
}
