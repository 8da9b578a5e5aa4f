package dev.nibble.runtime.cache;

import dev.nibble.runtime.models.BlockState;
import dev.nibble.runtime.models.Branch;
import dev.nibble.runtime.models.Branches;
import dev.nibble.runtime.models.Trunk;
import dev.nibble.runtime.tensor.Ops;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.function.Supplier;

/// A run of a rule that goes by the clock: at some steps modules are computed and remembered, at
/// the others what is foreseen of them stands in their place. Norms, gates and residual additions
/// around them are those of the step at hand.
final class ModuleRun extends BranchedRun<ModuleStore> {
  private final IntPredicate computes;
  private final Set<Branch> skipped;
  private final Supplier<Forecaster> forecasters;

  /// @param computes whether a step is computed
  /// @param skipped modules that the others skip
  ModuleRun(IntPredicate computes, Set<Branch> skipped, Supplier<Forecaster> forecasters) {
    this.computes = computes;
    this.skipped = skipped;
    this.forecasters = forecasters;
  }

  @Override
  ModuleStore newState() {
    return new ModuleStore(forecasters);
  }

  @Override
  BlockState run(Call call, ModuleStore state, Trunk trunk, BlockState in, Ops ops) {
    boolean computed = computes.test(call.step());
    decided(call, computed, OptionalDouble.empty());
    Branches branches =
        (block, branch, module) -> {
          if (!skipped.contains(branch)) {
            return module.get();
          }
          if (!computed) {
            var predicted = state.predict(call.step(), block, branch, ops);
            if (predicted.isPresent()) {
              return predicted.get();
            }
          }
          BlockState output = module.get();
          state.observe(call.step(), block, branch, output);
          return output;
        };
    return trunk.run(0, trunk.blocks(), in, branches, ops);
  }
}
