package dev.nibble.runtime.cache;

import dev.nibble.runtime.models.BlockState;
import dev.nibble.runtime.models.Branches;
import dev.nibble.runtime.models.Trunk;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalDouble;

/// Measures a model for {@link MagCache}: computes every step, and notes the mean over tokens of
/// `|R_s| / (|R_(s-1)| + 1e-8)`, with R what all blocks add to the hidden stream and `|..|` the
/// Euclidean norm of a token. The first step counts as 1. Over several runs of as many steps, and
/// over both sides of guidance, the mean is taken.
///
/// Source: huggingface/diffusers `src/diffusers/hooks/mag_cache.py` (`calibrate=True`).
public final class MagCacheCalibration implements StepCache {
  private final Object lock = new Object();
  private double[] sums = {};
  private int[] counts = {};

  /// A ratio for each step.
  ///
  /// @throws IllegalStateException if nothing was generated
  public List<Double> ratios() {
    synchronized (lock) {
      if (Arrays.stream(counts).anyMatch(count -> count == 0) || counts.length == 0) {
        throw new IllegalStateException("no ratios yet: generate a picture first");
      }
      List<Double> ratios = new ArrayList<>();
      for (int i = 0; i < sums.length; i++) {
        ratios.add(sums[i] / counts[i]);
      }
      return ratios;
    }
  }

  /// For reports; no rule to be parsed.
  @Override
  public String spec() {
    return "magcache-calibration";
  }

  @Override
  public CacheRun start(CachePlan plan, Ops session) {
    synchronized (lock) {
      if (sums.length == 0) {
        sums = new double[plan.steps()];
        counts = new int[plan.steps()];
      } else if (sums.length != plan.steps()) {
        throw new IllegalArgumentException(
            "calibrating over %d steps, not %d".formatted(sums.length, plan.steps()));
      }
    }
    return new Run();
  }

  private void note(int step, double ratio) {
    synchronized (lock) {
      sums[step] += ratio;
      counts[step]++;
    }
  }

  /// The norm of each token at the step before.
  private static final class Norms {
    float[] values = {};
  }

  private final class Run extends BranchedRun<Norms> {
    @Override
    Norms newState() {
      return new Norms();
    }

    @Override
    BlockState run(Call call, Norms last, Trunk trunk, BlockState in, Ops ops) {
      decided(call, true, OptionalDouble.empty());
      try (Region region = ops.region()) {
        BlockState out = trunk.run(0, trunk.blocks(), in, Branches.COMPUTE, ops);
        float[] norms = ops.toHost(ops.rowNorm(ops.sub(out.hidden(), in.hidden())));
        double sum = 0;
        for (int i = 0; i < last.values.length; i++) {
          sum += norms[i] / (last.values[i] + 1e-8f);
        }
        note(call.step(), last.values.length == 0 ? 1 : (float) (sum / norms.length));
        last.values = norms;
        return Residuals.keep(region, out);
      }
    }
  }
}
