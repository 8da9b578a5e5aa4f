package dev.nibble.runtime.cache;

import dev.nibble.runtime.models.TrunkRunner;
import java.util.List;

/// State of a {@link StepCache} during one picture: one set a {@link GuidanceBranch}. Used by one
/// thread at a time.
public interface CacheRun {
  /// What takes the next call of the transformer through its blocks.
  ///
  /// @param step index of the step, from 0; calls come in order of steps
  TrunkRunner runner(int step, GuidanceBranch branch);

  /// Decisions so far, in order of calls.
  List<StepDecision> decisions();
}
