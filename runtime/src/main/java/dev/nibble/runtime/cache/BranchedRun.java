package dev.nibble.runtime.cache;

import dev.nibble.runtime.models.BlockState;
import dev.nibble.runtime.models.Trunk;
import dev.nibble.runtime.models.TrunkRunner;
import dev.nibble.runtime.tensor.Ops;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;

/// A run that keeps a state of its own for each side of guidance, and writes its decisions down.
///
/// @param <S> state of a side
abstract class BranchedRun<S> implements CacheRun {
  private final List<StepDecision> decisions = new ArrayList<>();
  private final Map<GuidanceBranch, S> states = new EnumMap<>(GuidanceBranch.class);

  /// A call of the transformer.
  ///
  /// @param step index of the step, from 0
  record Call(int step, GuidanceBranch branch) {}

  /// The state of a side that was not called yet.
  abstract S newState();

  /// Takes one call through the trunk, and decides.
  abstract BlockState run(Call call, S state, Trunk trunk, BlockState in, Ops ops);

  @Override
  public final TrunkRunner runner(int step, GuidanceBranch branch) {
    Call call = new Call(step, branch);
    return (trunk, in, ops) -> {
      before(call);
      return run(call, state(branch), trunk, in, ops);
    };
  }

  /// Told of each call before its state is looked up.
  void before(Call call) {}

  /// The state of a side.
  final S state(GuidanceBranch branch) {
    return states.computeIfAbsent(branch, _ -> newState());
  }

  /// Takes all states away.
  final List<S> dropStates() {
    List<S> dropped = List.copyOf(states.values());
    states.clear();
    return dropped;
  }

  final void decided(Call call, boolean computed, OptionalDouble difference) {
    decisions.add(new StepDecision(call.step(), call.branch(), computed, difference));
  }

  @Override
  public final List<StepDecision> decisions() {
    return List.copyOf(decisions);
  }
}
