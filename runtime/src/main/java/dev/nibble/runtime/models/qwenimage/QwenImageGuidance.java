package dev.nibble.runtime.models.qwenimage;

import dev.nibble.runtime.models.Guidance;
import dev.nibble.runtime.models.GuidanceOptions;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.util.List;

/// "True" guidance of diffusers' `QwenImagePipeline`: `negative + scale · (positive - negative)`,
/// of two calls, each token brought back to the norm of the positive one.
record QwenImageGuidance() implements Guidance {
  @Override
  public boolean batched() {
    return false;
  }

  @Override
  public double defaultScale() {
    return 4;
  }

  @Override
  public boolean active(double scale) {
    return scale > 1;
  }

  @Override
  public boolean activeAt(float sigma, GuidanceOptions options) {
    return true;
  }

  @Override
  public Tensor combine(Tensor positive, Tensor negative, GuidanceOptions options, Ops ops) {
    try (Region region = ops.region()) {
      Tensor packed = PackedLatents.pack(positive, ops);
      Tensor other = PackedLatents.pack(negative, ops);
      Tensor guided =
          ops.linearCombination(
              new float[] {1, (float) options.scale()}, List.of(other, ops.sub(packed, other)));
      Tensor ratio = ops.div(ops.rowNorm(packed), ops.rowNorm(guided));
      return region.keep(
          PackedLatents.unpack(
              ops.mul(guided, ratio),
              positive.dim(2) / PackedLatents.PATCH,
              positive.dim(3) / PackedLatents.PATCH,
              ops));
    }
  }
}
