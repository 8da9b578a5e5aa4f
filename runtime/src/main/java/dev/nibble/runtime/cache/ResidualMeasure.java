package dev.nibble.runtime.cache;

import dev.nibble.runtime.cache.DbCache.Measure;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.util.List;

/// The relative difference of {@link DbCache}, with its two ways to look at a part of the residual.
///
/// @param how which part
record ResidualMeasure(Measure how) {
  /// Channels 0, d, 2d, .. of a residual; the residual itself where d is 1.
  ///
  /// @param residual `[B, T, D]`
  Tensor reduce(Tensor residual, Ops ops) {
    int d = how.downsample();
    if (d == 1) {
      return residual;
    }
    int channels = residual.dim(-1);
    int whole = channels / d * d;
    try (Region region = ops.region()) {
      Tensor even = whole == channels ? residual : ops.slice(residual, 2, 0, whole);
      Tensor groups = even.reshape(residual.dim(0), residual.dim(1), whole / d, d);
      Tensor firsts =
          ops.slice(groups, 3, 0, 1).reshape(residual.dim(0), residual.dim(1), whole / d);
      return region.keep(
          whole == channels
              ? firsts
              : ops.concat(2, List.of(firsts, ops.slice(residual, 2, whole, whole + 1))));
    }
  }

  /// `mean|now - old| / mean|old|` over all tokens, or over the important ones.
  double difference(Tensor old, Tensor now, Ops ops) {
    return how.important() > 0 ? ofImportant(old, now, ops) : Residuals.relativeL1(old, now, ops);
  }

  private double ofImportant(Tensor old, Tensor now, Ops ops) {
    float[] differences;
    float[] sizes;
    try (Region _ = ops.region()) {
      differences = ops.toHost(ops.rowMeanAbs(ops.sub(old, now)));
      sizes = ops.toHost(ops.rowMeanAbs(old));
    }
    double difference = 0;
    double size = 0;
    int important = 0;
    for (int i = 0; i < sizes.length; i++) {
      if (differences[i] / sizes[i] > (float) how.important()) {
        difference += differences[i];
        size += sizes[i];
        important++;
      }
    }
    return important == 0
        ? Residuals.relativeL1(old, now, ops)
        : (float) (difference / important) / (float) (size / important);
  }
}
