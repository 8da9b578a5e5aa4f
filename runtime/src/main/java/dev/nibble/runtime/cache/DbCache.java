package dev.nibble.runtime.cache;

import dev.nibble.runtime.tensor.Ops;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;

/// Dual Block Cache: the first F and the last B blocks are computed at every step; what lies
/// between is computed or reused.
///
/// With `H_k` the hidden stream after block k, `E_k` the text stream, N blocks, s the index of the
/// step from 0, at each step:
/// 1. Blocks 1 to F; `r = H_F - H_0`.
/// 2. A hit or a miss, by the table below.
/// 3. Hit: `H := H_F + R`, `E := E_F + R_E`.
/// 4. Miss: `r* := r`; blocks F+1 to N-B give `H_m`, `E_m`; `R := H_m - H_F`, `R_E := E_m - E_F`.
/// 5. Blocks N-B+1 to N.
///
/// So R and `r*` are those of the last computed step. With a {@link Forecast} a calibrator gives R
/// (or `H_m`) for the step at hand from those of several computed steps.
///
/// The first line that applies decides:
///
/// | test | result |
/// | --- | --- |
/// | s in {0, I, 2I, ..} and s < W, with `W = warmup`, or `min(warmup, leading ones of the mask)` | miss |
/// | the mask has a 1 at s | miss |
/// | there is a mask, and it is static | hit |
/// | `max_cached` hits were made | miss |
/// | the streak is `max_continuous` or more | streak := 0, miss |
/// | the positive differences so far add up to `max_accumulated` or more | miss |
/// | threshold <= 0 | miss |
/// | no step was computed yet, or r has another shape than `r*` | miss |
/// | threshold >= 1 | hit |
/// | `mean\|r - r*\| / mean\|r*\| < threshold` | hit |
/// | otherwise | miss |
///
/// The streak grows at a hit: by 1 if it is the first hit of the run; if the step before was a hit
/// too, by 2 where the streak is 0, else by 1; otherwise it stays. A miss leaves it alone, save by
/// the rule above that sets it to 0. (So isolated hits between warm-up steps count into the first
/// streak.) A static hit needs something stored: before the first computed step it is a miss.
///
/// Two calls a step (guidance apart) have all of this each; see {@link #sharedDifference}. A batch
/// of prompt and negative prompt is decided upon together. cache-dit's `cfg_compute_first`, which
/// says which call of a pair is the negative prompt's, has no place here: the caller names the
/// side.
///
/// Source: vipshop/cache-dit `src/cache_dit/caching/cache_contexts/cache_context.py`,
/// `cache_manager.py`, `cache_config.py` and `cache_blocks/pattern_base.py`; rule and streak in
/// `can_cache` and `add_cached_step`. Defaults are theirs. F=1, B=0 without warm-up is {@link
/// FbCache}, except that here equality computes.
///
/// @param front F, blocks computed at the beginning, 1 or more
/// @param back B, blocks computed at the end
/// @param threshold of the relative difference
/// @param limits what else forbids a hit
/// @param measure how r is compared
/// @param mask steps that must be computed
/// @param sharedDifference whether the call of the negative prompt takes the difference of the
///   prompt's call of the same step, where that one made a comparison (cache-dit's
///   `cfg_diff_compute_separate = false`)
/// @param refresh when everything is forgotten
/// @param forecast what stands in for R; plain reuse if empty
public record DbCache(
    int front,
    int back,
    double threshold,
    Limits limits,
    Measure measure,
    Optional<Mask> mask,
    boolean sharedDifference,
    Optional<Refresh> refresh,
    Optional<Forecast> forecast)
    implements StepCache {

  /// cache-dit's defaults.
  public static final DbCache DEFAULT =
      new DbCache(
          8,
          0,
          0.08,
          new Limits(8, 1, OptionalInt.empty(), OptionalInt.empty(), OptionalDouble.empty()),
          new Measure(0, 1),
          Optional.empty(),
          false,
          Optional.empty(),
          Optional.empty());

  /// What forbids a hit whatever the difference.
  ///
  /// @param warmup W, cache-dit's `max_warmup_steps`
  /// @param warmupInterval I: of the first W steps, each I-th is computed
  /// @param cached `max_cached_steps`: hits of a run
  /// @param continuous `max_continuous_cached_steps`: hits in a row, as the streak counts them
  /// @param accumulated `max_accumulated_residual_diff_threshold`, above 0: sum of differences
  public record Limits(
      int warmup,
      int warmupInterval,
      OptionalInt cached,
      OptionalInt continuous,
      OptionalDouble accumulated) {
    public Limits {
      Checks.atLeast("warmup", warmup, 0);
      Checks.atLeast("warmup_interval", warmupInterval, 1);
      Checks.atLeast("max_cached", cached.orElse(0), 0);
      Checks.atLeast("max_continuous", continuous.orElse(0), 0);
      Checks.atLeast("max_accumulated", accumulated.orElse(1), Double.MIN_VALUE);
    }
  }

  /// How r is compared with `r*`.
  ///
  /// @param important if above 0, both means run only over tokens whose own `mean|r - r*| /
  ///   mean|r*|` is above it; over all tokens where there is none (`important_condition_threshold`)
  /// @param downsample d: only each d-th channel is kept and compared (`downsample_factor`)
  public record Measure(double important, int downsample) {
    public Measure {
      Checks.atLeast("important", important, 0);
      Checks.atLeast("downsample", downsample, 1);
    }
  }

  /// Steps that must be computed.
  ///
  /// @param mask by step
  /// @param fixed whether the others are hits without a comparison (cache-dit's policy `static`)
  public record Mask(StepMask mask, boolean fixed) {}

  /// When everything is forgotten, as if the run began anew: tensors, counters, warm-up, mask.
  ///
  /// @param calls before which call of the transformer, counted from 0, those of both sides of
  ///   guidance together (`force_refresh_step_hint`)
  /// @param repeated whether it happens again after as many calls (policy `repeat`), or once
  public record Refresh(int calls, boolean repeated) {
    public Refresh {
      Checks.atLeast("refresh", calls, 1);
    }
  }

  /// A prediction in the place of the stored residual, for both streams.
  ///
  /// @param calibrator how
  /// @param hiddenStates whether it predicts `H_m`, which takes the place of the state itself,
  ///   rather than R (`calibrator_cache_type`)
  public record Forecast(Calibrator calibrator, boolean hiddenStates) {}

  public DbCache {
    Checks.atLeast("F", front, 1);
    Checks.atLeast("B", back, 0);
    Checks.atLeast("threshold", threshold, 0);
  }

  /// The default with other blocks and threshold, and without warm-up.
  public static DbCache of(int front, int back, double threshold) {
    return DEFAULT
        .withBlocks(front, back, threshold)
        .withLimits(
            new Limits(0, 1, OptionalInt.empty(), OptionalInt.empty(), OptionalDouble.empty()));
  }

  /// This rule with other blocks and threshold.
  public DbCache withBlocks(int newFront, int newBack, double newThreshold) {
    return new DbCache(
        newFront,
        newBack,
        newThreshold,
        limits,
        measure,
        mask,
        sharedDifference,
        refresh,
        forecast);
  }

  /// This rule with other limits.
  public DbCache withLimits(Limits value) {
    return new DbCache(
        front, back, threshold, value, measure, mask, sharedDifference, refresh, forecast);
  }

  /// This rule with a mask.
  public DbCache withMask(Mask value) {
    return new DbCache(
        front,
        back,
        threshold,
        limits,
        measure,
        Optional.of(value),
        sharedDifference,
        refresh,
        forecast);
  }

  /// This rule with a forecast.
  public DbCache withForecast(Forecast value) {
    return new DbCache(
        front,
        back,
        threshold,
        limits,
        measure,
        mask,
        sharedDifference,
        refresh,
        Optional.of(value));
  }

  @Override
  public String spec() {
    return DbCacheSpec.write(this);
  }

  @Override
  public CacheRun start(CachePlan plan, Ops session) {
    return new DbCacheRun(this, plan, session);
  }
}
