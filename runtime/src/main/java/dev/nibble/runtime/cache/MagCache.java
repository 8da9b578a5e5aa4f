package dev.nibble.runtime.cache;

import dev.nibble.runtime.models.BlockState;
import dev.nibble.runtime.models.Branches;
import dev.nibble.runtime.models.Trunk;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;

/// MagCache: how the magnitude of what all blocks add falls from step to step is much the same for
/// all prompts, so it is measured once, and steps are skipped while it says that little changes
/// (arXiv:2506.09045).
///
/// With `γ_s` the ratio of step s, H the hidden stream, N blocks, `p = 1, n = 0, e = 0` at first:
/// 1. `s < floor(retention · S + 0.5)`: compute.
/// 2. Otherwise `p := p · γ_s`, `n := n + 1`, `e := e + |1 - p|`. Skip if `e <= threshold`, `n <=
///    max_skips` and a step was computed; else compute and `p, n, e := 1, 0, 0`.
/// 3. Computed: `R := H_N - H_0`. Skipped: `H_N := H_0 + R`, no block computed; a text stream stays
///    at its input.
///
/// Numbers are float32. Ratios of another number of steps are stretched: that of step s is the one
/// at `round(s · (count - 1) / (S - 1))`, ties to even.
///
/// Source: huggingface/diffusers `src/diffusers/hooks/mag_cache.py`, after Zehong-Ma/MagCache;
/// defaults are diffusers'. {@link MagCacheCalibration} measures ratios.
///
/// @param ratios of the mean norm of a token of R to that of the step before, 1 for the first step;
///   `flux` is a list known by name
/// @param threshold of the accumulated error
/// @param maxSkips steps skipped in a row
/// @param retention part of the steps that is computed at the beginning, 0 to 1
public record MagCache(List<Double> ratios, double threshold, int maxSkips, double retention)
    implements StepCache {
  private static final double THRESHOLD = 0.06;
  private static final int MAX_SKIPS = 3;
  private static final double RETENTION = 0.2;

  private static final Map<String, List<Double>> KNOWN =
      Map.of(
          "flux",
          List.of(
              1.0, 1.21094, 1.11719, 1.07812, 1.0625, 1.03906, 1.03125, 1.03906, 1.02344, 1.03125,
              1.02344, 0.98047, 1.01562, 1.00781, 1.0, 1.00781, 1.0, 1.00781, 1.0, 1.0, 0.99609,
              0.99609, 0.98047, 0.98828, 0.96484, 0.95703, 0.93359, 0.89062));

  public MagCache {
    ratios = List.copyOf(ratios);
    if (ratios.isEmpty() || !ratios.stream().allMatch(ratio -> ratio > 0 && ratio < 1e6)) {
      throw new IllegalArgumentException("ratios must be numbers above 0, not " + ratios);
    }
    Checks.atLeast("threshold", threshold, 0);
    Checks.atLeast("max_skips", maxSkips, 0);
    Checks.between("retention", retention, 0, 1);
  }

  /// Ratios with diffusers' defaults.
  public static MagCache of(List<Double> ratios) {
    return new MagCache(ratios, THRESHOLD, MAX_SKIPS, RETENTION);
  }

  static MagCache read(SpecReader spec) throws IOException {
    Optional<String> ratios = spec.text("ratios");
    double threshold = spec.number("threshold", THRESHOLD);
    int maxSkips = spec.integer("max_skips", MAX_SKIPS);
    double retention = spec.number("retention", RETENTION);
    if (ratios.isEmpty()) {
      throw new IllegalArgumentException(
          "magcache needs ratios=.., of the model at hand: a JSON file or numbers with colons"
              + " between");
    }
    return new MagCache(
        NumberList.parse("ratios", ratios.get(), KNOWN), threshold, maxSkips, retention);
  }

  @Override
  public String spec() {
    return new SpecWriter("magcache")
        .put("ratios", NumberList.text(ratios, KNOWN))
        .put("threshold", threshold)
        .put("max_skips", maxSkips)
        .put("retention", retention)
        .toString();
  }

  /// The ratio of a step among S.
  float ratio(int step, int steps) {
    int count = ratios.size();
    int index = step;
    if (count != steps) {
      double scale = steps == 1 ? 1 : (double) (count - 1) / (steps - 1);
      index = steps == 1 ? count - 1 : (int) Math.rint(step * (float) scale);
    }
    return Objects.requireNonNull(ratios.get(index)).floatValue();
  }

  @Override
  public CacheRun start(CachePlan plan, Ops session) {
    return new Run(plan.steps(), session);
  }

  /// What one side of guidance keeps.
  private static final class State {
    final Kept residual;
    float product = 1;
    int skips;
    float error;

    State(Ops session) {
      residual = new Kept(session);
    }
  }

  private final class Run extends BranchedRun<State> {
    private final int steps;
    private final Ops session;

    Run(int steps, Ops session) {
      this.steps = steps;
      this.session = session;
    }

    @Override
    State newState() {
      return new State(session);
    }

    @Override
    BlockState run(Call call, State state, Trunk trunk, BlockState in, Ops ops) {
      boolean counted = call.step() >= (int) (retention * steps + 0.5);
      if (counted) {
        state.product *= ratio(call.step(), steps);
        state.skips++;
        state.error += Math.abs(1 - state.product);
      }
      Optional<Tensor> residual =
          counted && state.error <= (float) threshold && state.skips <= maxSkips
              ? state.residual.like(in.hidden())
              : Optional.empty();
      decided(
          call,
          residual.isEmpty(),
          counted ? OptionalDouble.of(state.error) : OptionalDouble.empty());
      if (residual.isPresent()) {
        return new BlockState(ops.add(in.hidden(), residual.get()), in.encoder());
      }
      state.product = 1;
      state.skips = 0;
      state.error = 0;
      try (Region region = ops.region()) {
        BlockState out = trunk.run(0, trunk.blocks(), in, Branches.COMPUTE, ops);
        state.residual.set(ops.sub(out.hidden(), in.hidden()));
        return Residuals.keep(region, out);
      }
    }
  }
}
