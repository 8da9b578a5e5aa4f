package dev.nibble.runtime.cache;

import dev.nibble.runtime.tensor.Ops;

/// Extrapolation by a Taylor series of finite differences (TaylorSeer, arXiv:2503.06923).
///
/// With `D_0 .. D_n` of the last computed step `s*` and `D'` of the one before it:
/// * At computed step s, `w = s - s*`: `D_0 := Y`, `D_(i+1) := (D_i - D'_i) / w` as long as `D'_i`
///   exists, and none unless `s - s_0 > 2`, with `s_0` the first computed step of the run.
/// * At a reused step: `Σ D_i · (s - s*)^i / i!`.
///
/// So with steps 0, 1 and 2 computed, a hit at step 3 is plain reuse. (cache-dit's source says
/// `current_step > 1`, but its counter is created at the first update and stays one behind.)
///
/// Source: vipshop/cache-dit `src/cache_dit/caching/cache_contexts/calibrators/taylorseer.py`.
///
/// @param order n; cache-dit's default is 1, it recommends 1 or 2
public record TaylorSeer(int order) implements Calibrator {
  static final int QUIET_STEPS = 2;

  public TaylorSeer {
    Checks.between("taylorseer", order, 0, 8);
  }

  @Override
  public Forecaster start(Ops session) {
    return new TaylorLadder(session, order, QUIET_STEPS);
  }
}
