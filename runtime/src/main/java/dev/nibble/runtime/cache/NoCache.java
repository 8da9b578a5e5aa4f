package dev.nibble.runtime.cache;

import dev.nibble.runtime.models.Branches;
import dev.nibble.runtime.models.TrunkRunner;
import dev.nibble.runtime.tensor.Ops;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;

/// Computes every block of every step.
public record NoCache() implements StepCache {
  @Override
  public String spec() {
    return "none";
  }

  @Override
  public CacheRun start(CachePlan plan, Ops session) {
    List<StepDecision> decisions = new ArrayList<>();
    return new CacheRun() {
      @Override
      public TrunkRunner runner(int step, GuidanceBranch branch) {
        return (trunk, in, ops) -> {
          decisions.add(new StepDecision(step, branch, true, OptionalDouble.empty()));
          return trunk.run(0, trunk.blocks(), in, Branches.COMPUTE, ops);
        };
      }

      @Override
      public List<StepDecision> decisions() {
        return List.copyOf(decisions);
      }
    };
  }
}
