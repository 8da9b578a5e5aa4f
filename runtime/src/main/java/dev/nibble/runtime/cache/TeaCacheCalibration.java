package dev.nibble.runtime.cache;

import dev.nibble.runtime.models.BlockState;
import dev.nibble.runtime.models.Branches;
import dev.nibble.runtime.models.Trunk;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;

/// Measures a model for {@link TeaCache}: computes every step, and notes how far the modulated
/// input of the first block and what the blocks add are from those of the step before. Generate
/// with it over some prompts, then {@link #fit}. One object may serve several runs, also at once.
///
/// Source: the method as ali-vilab/TeaCache and vllm-omni describe it.
public final class TeaCacheCalibration implements StepCache {
  private final List<Observation> observations = new ArrayList<>();

  /// Two steps in a row.
  ///
  /// @param input relative L1 difference of the modulated inputs
  /// @param output relative L1 difference of `H_N - H_0`
  public record Observation(double input, double output) {}

  /// What was measured so far.
  public List<Observation> observations() {
    synchronized (observations) {
      return List.copyOf(observations);
    }
  }

  /// The polynomial of degree 4 that gives outputs from inputs with the least sum of squares.
  ///
  /// @throws IllegalStateException if there are fewer than five different inputs
  public TeaCachePolynomial fit() {
    return fit(observations());
  }

  static TeaCachePolynomial fit(List<Observation> observations) {
    if (observations.stream().mapToDouble(Observation::input).distinct().count() < 5) {
      throw new IllegalStateException(
          "a polynomial of degree 4 takes five different distances; generate with 6 steps or more");
    }
    // Powers of inputs over the largest, so that no column dwarfs another.
    double unit = observations.stream().mapToDouble(Observation::input).max().orElseThrow();
    double[][] powers = new double[observations.size()][5];
    double[] outputs = new double[observations.size()];
    for (int i = 0; i < outputs.length; i++) {
      for (int power = 0; power < 5; power++) {
        powers[i][power] = Math.pow(observations.get(i).input() / unit, power);
      }
      outputs[i] = observations.get(i).output();
    }
    double[] solution = LeastSquares.solve(powers, outputs);
    List<Double> coefficients = new ArrayList<>();
    for (int power = 4; power >= 0; power--) {
      coefficients.add(solution[power] / Math.pow(unit, power));
    }
    return new TeaCachePolynomial(coefficients);
  }

  /// For reports; no rule to be parsed.
  @Override
  public String spec() {
    return "teacache-calibration";
  }

  @Override
  public CacheRun start(CachePlan plan, Ops session) {
    return new Run(session);
  }

  private record State(Kept input, Kept output) {}

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
      decided(call, true, OptionalDouble.empty());
      try (Region region = ops.region()) {
        OptionalDouble input = distance(state.input, trunk.modulatedInput(in, ops), ops);
        BlockState out = trunk.run(0, trunk.blocks(), in, Branches.COMPUTE, ops);
        OptionalDouble output = distance(state.output, ops.sub(out.hidden(), in.hidden()), ops);
        if (input.isPresent() && output.isPresent()) {
          synchronized (observations) {
            observations.add(new Observation(input.getAsDouble(), output.getAsDouble()));
          }
        }
        return Residuals.keep(region, out);
      }
    }

    private static OptionalDouble distance(Kept last, Tensor now, Ops ops) {
      Optional<Tensor> old = last.like(now);
      OptionalDouble distance =
          old.isPresent()
              ? OptionalDouble.of(Residuals.relativeL1(old.get(), now, ops))
              : OptionalDouble.empty();
      last.set(now);
      return distance;
    }
  }
}
