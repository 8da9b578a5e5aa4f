package dev.nibble.runtime.cache;

import dev.nibble.runtime.models.BlockState;
import dev.nibble.runtime.models.Branches;
import dev.nibble.runtime.models.Trunk;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.io.IOException;
import java.util.Optional;
import java.util.OptionalDouble;

/// TeaCache: how much the input of the first block changes, weighted by the time embedding, tells
/// how much the output of all blocks will (arXiv:2411.19108).
///
/// With `H_k` the hidden stream after block k of N, m the input of the first block's attention
/// after its norm and modulation ({@link Trunk#modulatedInput}), s the index of the step from 0 of
/// S, at each step:
/// 1. s = 0 or s = S - 1: compute, `acc := 0`.
/// 2. Otherwise `acc += P(mean|m - m'| / mean|m'|)`, with `m'` the m of the step before, computed
///    or not. `acc < threshold`: reuse. Else compute, `acc := 0`.
/// 3. `m' := m`.
/// 4. Computed: `R := H_N - H_0`. Reused: `H_N := H_0 + R`; a text stream stays at its input, of
///    which the model's last layer knows nothing.
///
/// No block is computed at a reused step, only the embeddings and the last layer. Two calls a step
/// have a state each.
///
/// Source: ali-vilab/TeaCache `TeaCache4FLUX/teacache_flux.py`; two states as in its Lumina and Wan
/// variants; threshold and polynomial by default as in vllm-project/vllm-omni
/// `vllm_omni/diffusion/cache/teacache/config.py`. {@link TeaCacheCalibration} fits a polynomial to
/// a model.
///
/// @param threshold of the accumulated distance; FLUX takes 0.25 to 0.8, Qwen-Image 0.2
/// @param polynomial P
public record TeaCache(double threshold, TeaCachePolynomial polynomial) implements StepCache {
  /// vllm-omni's defaults.
  public static final TeaCache DEFAULT = new TeaCache(0.2, TeaCachePolynomial.DEFAULT);

  public TeaCache {
    Checks.atLeast("threshold", threshold, 0);
  }

  static TeaCache read(SpecReader spec) throws IOException {
    double threshold = spec.number("threshold", DEFAULT.threshold);
    Optional<String> coefficients = spec.text("coefficients");
    return new TeaCache(
        threshold,
        coefficients.isPresent()
            ? TeaCachePolynomial.parse(coefficients.get())
            : DEFAULT.polynomial);
  }

  @Override
  public String spec() {
    return new SpecWriter("teacache")
        .put("threshold", threshold)
        .put("coefficients", polynomial.text())
        .toString();
  }

  @Override
  public CacheRun start(CachePlan plan, Ops session) {
    return new Run(plan.steps(), session);
  }

  /// What one side of guidance keeps.
  private static final class State {
    final Kept input;
    final Kept residual;
    double accumulated;

    State(Ops session) {
      input = new Kept(session);
      residual = new Kept(session);
    }
  }

  private final class Run extends BranchedRun<State> {
    private final int steps;
    private final Ops session;

    Run(int steps, Ops session) {
      this.steps = steps;
      this.session = session;
    }

    @Override
    State newState() {
      return new State(session);
    }

    @Override
    BlockState run(Call call, State state, Trunk trunk, BlockState in, Ops ops) {
      OptionalDouble accumulated = accumulate(call.step(), state, trunk, in, ops);
      Optional<Tensor> residual =
          accumulated.isPresent() && accumulated.getAsDouble() < threshold
              ? state.residual.like(in.hidden())
              : Optional.empty();
      decided(call, residual.isEmpty(), accumulated);
      if (residual.isPresent()) {
        return new BlockState(ops.add(in.hidden(), residual.get()), in.encoder());
      }
      state.accumulated = 0;
      try (Region region = ops.region()) {
        BlockState out = trunk.run(0, trunk.blocks(), in, Branches.COMPUTE, ops);
        state.residual.set(ops.sub(out.hidden(), in.hidden()));
        return Residuals.keep(region, out);
      }
    }

    /// The distance since the last computed step; empty at the first and the last.
    private OptionalDouble accumulate(int step, State state, Trunk trunk, BlockState in, Ops ops) {
      try (Region _ = ops.region()) {
        Tensor input = trunk.modulatedInput(in, ops);
        Optional<Tensor> before = state.input.like(input);
        boolean compared = step > 0 && step < steps - 1 && before.isPresent();
        if (compared) {
          state.accumulated +=
              polynomial.at(Residuals.relativeL1(before.orElseThrow(), input, ops));
        }
        state.input.set(input);
        return compared ? OptionalDouble.of(state.accumulated) : OptionalDouble.empty();
      }
    }
  }
}
