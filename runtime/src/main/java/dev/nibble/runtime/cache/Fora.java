package dev.nibble.runtime.cache;

import dev.nibble.runtime.models.Branch;
import dev.nibble.runtime.tensor.Ops;
import java.util.Set;

/// Fast-Forward Caching: outputs of attention and feed-forward of each block are computed at every
/// N-th step and reused between (FORA, arXiv:2407.01425).
///
/// With i the sampler's index, S - 1 at the first step and 0 at the last, a step is computed if i =
/// S - 1 or i mod N = 0: the intervals are counted from the end, so the last step is computed and
/// the first interval may be shorter. At a computed step the raw outputs are stored, before any
/// gate (and, in Z-Image, before the norm that follows them). At the others they join the residual
/// stream through the gates of the step at hand.
///
/// Source: prathebaselva/FORA `src/models.py` (`boost_infer_static`) and
/// `src/diffusion/gaussian_diffusion.py`.
///
/// @param interval N, 1 or more; 1 computes every step. The paper's examples use 3
public record Fora(int interval) implements StepCache {
  /// Every third step.
  public static final Fora DEFAULT = new Fora(3);

  public Fora {
    Checks.atLeast("N", interval, 1);
  }

  static Fora read(SpecReader spec) {
    return new Fora(spec.integer("N", DEFAULT.interval));
  }

  @Override
  public String spec() {
    return new SpecWriter("fora").put("N", interval).toString();
  }

  /// Whether step s of S is computed.
  static boolean computes(int step, int steps, int interval) {
    return step == 0 || (steps - 1 - step) % interval == 0;
  }

  @Override
  public CacheRun start(CachePlan plan, Ops session) {
    return new ModuleRun(
        step -> computes(step, plan.steps(), interval),
        Set.of(Branch.values()),
        () -> new TaylorLadder(session, 0, 0));
  }
}
