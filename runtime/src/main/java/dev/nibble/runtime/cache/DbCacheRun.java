package dev.nibble.runtime.cache;

import dev.nibble.runtime.cache.DbCache.Refresh;
import dev.nibble.runtime.cache.DbCacheRules.Comparison;
import dev.nibble.runtime.cache.DbCacheRules.Outcome;
import dev.nibble.runtime.models.BlockState;
import dev.nibble.runtime.models.Branches;
import dev.nibble.runtime.models.Trunk;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.util.Optional;
import java.util.OptionalDouble;

/// A run of {@link DbCache}.
final class DbCacheRun extends BranchedRun<DbCacheRun.State> {
  private final DbCache cache;
  private final Optional<String> mask;
  private final ResidualMeasure measure;
  private final Ops session;

  private int calls;
  private int firstStep;
  private boolean refreshed;
  private Shared shared = new Shared(-1, OptionalDouble.empty());

  /// What one side of guidance keeps.
  ///
  /// @param front what the first blocks added at the last computed step, as compared
  record State(DbCacheRules rules, Kept front, MiddleStore middle) {}

  /// The difference found at the prompt's call of a step.
  private record Shared(int step, OptionalDouble difference) {}

  DbCacheRun(DbCache cache, CachePlan plan, Ops session) {
    this.cache = cache;
    this.mask = cache.mask().map(value -> value.mask().bits(plan.steps()));
    this.measure = new ResidualMeasure(cache.measure());
    this.session = session;
  }

  @Override
  State newState() {
    return new State(
        new DbCacheRules(cache, mask),
        new Kept(session),
        MiddleStore.of(cache.forecast(), session));
  }

  @Override
  void before(Call call) {
    if (cache.refresh().isPresent() && due(cache.refresh().get())) {
      for (State state : dropStates()) {
        state.front.clear();
        state.middle.clear();
      }
      calls = 0;
      firstStep = call.step();
      refreshed = true;
      shared = new Shared(-1, OptionalDouble.empty());
    }
    calls++;
  }

  private boolean due(Refresh refresh) {
    return calls == refresh.calls() && (refresh.repeated() || !refreshed);
  }

  @Override
  BlockState run(Call call, State state, Trunk trunk, BlockState in, Ops ops) {
    int end = trunk.blocks() - cache.back();
    if (cache.front() > end) {
      throw new IllegalArgumentException(
          "dbcache: F=%d and B=%d are more than the %d blocks of this transformer"
              .formatted(cache.front(), cache.back(), trunk.blocks()));
    }
    try (Region region = ops.region()) {
      BlockState front = trunk.run(0, cache.front(), in, Branches.COMPUTE, ops);
      boolean hit = decide(call, state, in, front, ops);
      BlockState middle;
      if (hit) {
        middle = state.middle.predict(call.step() - firstStep, front, ops);
      } else {
        middle = trunk.run(cache.front(), end, front, Branches.COMPUTE, ops);
        state.middle.observe(call.step() - firstStep, front, middle, ops);
      }
      return Residuals.keep(region, trunk.run(end, trunk.blocks(), middle, Branches.COMPUTE, ops));
    }
  }

  private boolean decide(Call call, State state, BlockState in, BlockState front, Ops ops) {
    try (Region _ = ops.region()) {
      Tensor residual = measure.reduce(ops.sub(front.hidden(), in.hidden()), ops);
      Optional<Tensor> last = state.front.like(residual);
      Outcome outcome =
          state.rules.decide(
              call.step() - firstStep,
              new Comparison() {
                @Override
                public boolean possible() {
                  return last.isPresent();
                }

                @Override
                public double difference() {
                  OptionalDouble borrowed = shared(call);
                  return borrowed.isPresent()
                      ? borrowed.getAsDouble()
                      : measure.difference(last.orElseThrow(), residual, ops);
                }
              });
      if (call.branch() == GuidanceBranch.CONDITIONAL) {
        shared = new Shared(call.step(), outcome.difference());
      }
      decided(call, !outcome.hit(), outcome.difference());
      if (!outcome.hit()) {
        state.front.set(residual);
      }
      return outcome.hit();
    }
  }

  private OptionalDouble shared(Call call) {
    return cache.sharedDifference()
            && call.branch() == GuidanceBranch.UNCONDITIONAL
            && shared.step == call.step()
        ? shared.difference
        : OptionalDouble.empty();
  }
}
