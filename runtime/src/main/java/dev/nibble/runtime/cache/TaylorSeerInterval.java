package dev.nibble.runtime.cache;

import dev.nibble.runtime.models.Branch;
import dev.nibble.runtime.tensor.Ops;
import java.util.EnumSet;
import java.util.OptionalInt;
import java.util.Set;

/// TaylorSeer by the clock: outputs of modules are computed at every so many steps and extrapolated
/// by a Taylor series between (arXiv:2503.06923).
///
/// A step s is computed if `s < before`, or `(s - before - 1) mod interval = 0`, or `s >= after`.
/// (So with the defaults steps 0, 1, 2, 4, 9, 14, .. are computed: the first step after the warm-up
/// is a prediction.) With `D_0 .. D_n` of a module at its last computed step `s*` and `D'` of the
/// one before, at a computed step `D_0 := Y`, `D_(i+1) := (D_i - D'_i) / (s - s*)` as long as
/// `D'_i` exists; at another its output is `Σ D_i · (s - s*)^i / i!`. Unlike {@link TaylorSeer}
/// there are differences from the second computed step on.
///
/// Source: huggingface/diffusers `src/diffusers/hooks/taylorseer_cache.py`, defaults included. It
/// keeps its factors in bfloat16 unless told otherwise; here they have the precision of the
/// tensors. It names modules by patterns; its default means attention.
///
/// @param interval steps from one computed step to the next, `cache_interval`
/// @param order n, `max_order`
/// @param before steps at the beginning that are computed, `disable_cache_before_step`
/// @param after first step of those at the end that are computed, `disable_cache_after_step`
/// @param feedForward whether feed-forward modules are skipped too
public record TaylorSeerInterval(
    int interval, int order, int before, OptionalInt after, boolean feedForward)
    implements StepCache {
  /// diffusers' defaults.
  public static final TaylorSeerInterval DEFAULT =
      new TaylorSeerInterval(5, 1, 3, OptionalInt.empty(), false);

  public TaylorSeerInterval {
    Checks.atLeast("interval", interval, 1);
    Checks.between("order", order, 0, 8);
    // The first step has nothing to extrapolate from.
    Checks.atLeast("before", before, 1);
    Checks.atLeast("after", after.orElse(0), 0);
  }

  static TaylorSeerInterval read(SpecReader spec) {
    return new TaylorSeerInterval(
        spec.integer("interval", DEFAULT.interval),
        spec.integer("order", DEFAULT.order),
        spec.integer("before", DEFAULT.before),
        spec.integer("after"),
        spec.choice("modules", "attention", "attention", "all").equals("all"));
  }

  @Override
  public String spec() {
    SpecWriter spec =
        new SpecWriter("taylorseer")
            .put("interval", interval)
            .put("order", order)
            .put("before", before);
    after.ifPresent(step -> spec.put("after", step));
    return spec.put("modules", feedForward ? "all" : "attention").toString();
  }

  boolean computes(int step) {
    return step < before
        || Math.floorMod(step - before - 1, interval) == 0
        || step >= after.orElse(Integer.MAX_VALUE);
  }

  @Override
  public CacheRun start(CachePlan plan, Ops session) {
    Set<Branch> skipped = feedForward ? EnumSet.allOf(Branch.class) : EnumSet.of(Branch.ATTENTION);
    return new ModuleRun(this::computes, skipped, () -> new TaylorLadder(session, order, 0));
  }
}
