package dev.nibble.runtime.cache;

import dev.nibble.runtime.models.BlockState;
import dev.nibble.runtime.models.Branches;
import dev.nibble.runtime.models.Trunk;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.util.Optional;
import java.util.OptionalDouble;

/// First Block Cache: the first block is computed at every step, and what it adds tells whether the
/// rest may be what it was.
///
/// With `H_k` the hidden stream after block k, `E_k` the text stream, N blocks:
/// 1. `r = H_1 - H_0`.
/// 2. The step is computed if it is one of the first `warmup`, if no step was computed yet, if the
///    shape of r is another one, or if `mean|r - r*| / mean|r*| > threshold`, with `r*` the r of
///    the last computed step. Equality reuses.
/// 3. Computed: `r* := r`, `D := H_N - H_1`, `D_E := E_N - E_1`.
/// 4. Reused: `H_N := H_1 + D`, `E_N := E_1 + D_E`. `r*` stays.
///
/// The means run over the whole tensor, so a batch of prompt and negative prompt is decided upon
/// together. Two calls a step have a state each.
///
/// Source: huggingface/diffusers `src/diffusers/hooks/first_block_cache.py`, after
/// chengzeyi/ParaAttention `src/para_attn/first_block_cache`, whose comparison is `< threshold` and
/// whose warm-up this is. Neither forgets its state between pictures of Z-Image; here each run
/// begins empty.
///
/// @param threshold of the relative difference; diffusers' default is 0.05, ParaAttention's for
///   FLUX 0.08. Models of few steps need 0.2 and more
/// @param warmup steps that are computed without a comparison
public record FbCache(double threshold, int warmup) implements StepCache {
  /// As diffusers has it.
  public static final FbCache DEFAULT = new FbCache(0.05, 0);

  public FbCache {
    Checks.atLeast("threshold", threshold, 0);
    Checks.atLeast("warmup", warmup, 0);
  }

  static FbCache read(SpecReader spec) {
    return new FbCache(
        spec.number("threshold", DEFAULT.threshold), spec.integer("warmup", DEFAULT.warmup));
  }

  @Override
  public String spec() {
    return new SpecWriter("fbcache")
        .put("threshold", threshold)
        .putUnless(DEFAULT.warmup, "warmup", warmup)
        .toString();
  }

  @Override
  public CacheRun start(CachePlan plan, Ops session) {
    return new Run(session);
  }

  /// What one side of guidance keeps.
  ///
  /// @param first what the first block added at the last computed step
  /// @param rest what the other blocks added
  private record State(Kept first, Kept rest) {}

  private final class Run extends BranchedRun<State> {
    private final Ops session;

    Run(Ops session) {
      this.session = session;
    }

    @Override
    State newState() {
      return new State(new Kept(session), new Kept(session));
    }

    @Override
    BlockState run(Call call, State state, Trunk trunk, BlockState in, Ops ops) {
      try (Region region = ops.region()) {
        BlockState first = trunk.run(0, 1, in, Branches.COMPUTE, ops);
        Tensor residual = ops.sub(first.hidden(), in.hidden());
        OptionalDouble difference = difference(call.step(), state, residual, ops);
        boolean computed = difference.isEmpty() || difference.getAsDouble() > threshold;
        decided(call, computed, difference);
        if (!computed) {
          return Residuals.keep(region, Residuals.add(first, state.rest.get().orElseThrow(), ops));
        }
        state.first.set(residual);
        ops.release(residual);
        BlockState last = trunk.run(1, trunk.blocks(), first, Branches.COMPUTE, ops);
        state.rest.set(Residuals.between(first, last, ops));
        return Residuals.keep(region, last);
      }
    }

    private OptionalDouble difference(int step, State state, Tensor residual, Ops ops) {
      Optional<Tensor> last = step < warmup ? Optional.empty() : state.first.like(residual);
      return last.isPresent()
          ? OptionalDouble.of(Residuals.relativeL1(last.get(), residual, ops))
          : OptionalDouble.empty();
    }
  }
}
