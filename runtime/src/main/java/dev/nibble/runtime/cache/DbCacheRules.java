package dev.nibble.runtime.cache;

import dev.nibble.runtime.cache.DbCache.Limits;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;

/// The decisions of {@link DbCache} for one side of guidance: its table, and the counters that it
/// reads. Knows no tensor.
final class DbCacheRules {
  private final double threshold;
  private final Limits limits;
  private final Optional<String> mask;
  private final boolean fixed;
  private final int warmup;

  private int hits;
  private int streak;
  private double accumulated;
  private OptionalInt lastHit = OptionalInt.empty();

  /// What the step offers for comparison.
  interface Comparison {
    /// Whether a step was computed before, with a residual of this one's shape.
    boolean possible();

    /// Relative difference of the residuals.
    double difference();
  }

  /// @param difference where a comparison was made
  record Outcome(boolean hit, OptionalDouble difference) {
    static final Outcome HIT = new Outcome(true, OptionalDouble.empty());
    static final Outcome MISS = new Outcome(false, OptionalDouble.empty());
  }

  DbCacheRules(DbCache cache, Optional<String> mask) {
    this.threshold = cache.threshold();
    this.limits = cache.limits();
    this.mask = mask;
    this.fixed = cache.mask().isPresent() && cache.mask().get().fixed();
    this.warmup =
        mask.isPresent() ? Math.min(limits.warmup(), leadingOnes(mask.get())) : limits.warmup();
  }

  private static int leadingOnes(String mask) {
    int zero = mask.indexOf('0');
    return zero < 0 ? mask.length() : zero;
  }

  /// Decides, and counts.
  ///
  /// @param step from 0, since the run or its last refresh began
  Outcome decide(int step, Comparison comparison) {
    Outcome outcome = outcome(step, comparison);
    outcome.difference().ifPresent(difference -> accumulated += Math.max(difference, 0));
    if (outcome.hit()) {
      count(step);
    }
    return outcome;
  }

  private Outcome outcome(int step, Comparison comparison) {
    if (step < warmup && step % limits.warmupInterval() == 0) {
      return Outcome.MISS;
    }
    if (mask.isPresent()) {
      if (step < mask.get().length() && mask.get().charAt(step) == '1') {
        return Outcome.MISS;
      }
      if (fixed) {
        return comparison.possible() ? Outcome.HIT : Outcome.MISS;
      }
    }
    if (hits >= limits.cached().orElse(Integer.MAX_VALUE)) {
      return Outcome.MISS;
    }
    if (streak >= limits.continuous().orElse(Integer.MAX_VALUE)) {
      streak = 0;
      return Outcome.MISS;
    }
    if (accumulated >= limits.accumulated().orElse(Double.POSITIVE_INFINITY)) {
      return Outcome.MISS;
    }
    if (threshold <= 0 || !comparison.possible()) {
      return Outcome.MISS;
    }
    if (threshold >= 1) {
      return Outcome.HIT;
    }
    double difference = comparison.difference();
    return new Outcome(difference < threshold, OptionalDouble.of(difference));
  }

  private void count(int step) {
    if (lastHit.isEmpty()) {
      streak++;
    } else if (lastHit.getAsInt() == step - 1) {
      streak += streak == 0 ? 2 : 1;
    }
    lastHit = OptionalInt.of(step);
    hits++;
  }

  int streak() {
    return streak;
  }
}
