package dev.nibble.runtime.tensor;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// A backend beside the definition of every operation; here those that are made of others, and that
/// a backend may fuse.
public abstract class AbstractFusedOpsTest {
  @SuppressWarnings("NullAway.Init") // set before each test
  OpsSides sides;

  /// The backend under test.
  protected abstract Backend newBackend();

  /// The definition.
  protected abstract Backend newOracle();

  /// Operations of the backend under test.
  protected Ops newOps(Backend backend) {
    return backend.newOps("test");
  }

  /// How results are compared.
  private OpsSides.Comparison comparison() {
    double relative = relativeError();
    return relative == 0
        ? OpsSides.Comparison.ELEMENTS
        : new OpsSides.Comparison(relative, this::input, isCoarse());
  }

  /// Largest error of a result, relative to its Euclidean norm; 0 for the tolerance that each test
  /// has for each element.
  protected double relativeError() {
    return 0;
  }

  /// Whether random numbers are such as bfloat16 holds.
  protected boolean isCoarse() {
    return false;
  }

  /// A tensor of numbers on the tested side.
  protected Tensor input(Ops ops, float[] values, long... dims) {
    return ops.fromHost(values, dims);
  }

  @BeforeEach
  void open() {
    Backend backend = newBackend();
    sides = new OpsSides(backend, newOps(backend), newOracle(), comparison());
  }

  @AfterEach
  void close() {
    sides.close();
  }

  @ParameterizedTest
  @CsvSource({"1,1,1", "2,64,192", "3,5,7", "1,700,200"})
  void fused(int batch, int tokens, int d) {
    sides.expect(
        1e-6,
        side ->
            side.ops()
                .modulate(
                    side.random(1, batch, tokens, d),
                    side.random(2, batch, 1, d),
                    Optional.of(side.random(3, batch, 1, d))));
    sides.expect(
        1e-6,
        side ->
            side.ops()
                .modulate(
                    side.random(1, batch, tokens, d),
                    side.random(2, batch, 1, d),
                    Optional.empty()));
    sides.expect(
        1e-6,
        side ->
            side.ops()
                .addGated(
                    side.random(1, batch, tokens, d),
                    side.random(2, batch, 1, d),
                    side.random(3, batch, tokens, d)));
    sides.expect(
        1e-6,
        side ->
            side.ops().swiGlu(side.random(1, batch, tokens, d), side.random(2, batch, tokens, d)));
  }

  @ParameterizedTest
  @CsvSource({"1,1,1", "2,64,192", "3,5,7", "1,70,1000", "2,33,2056"})
  void fusedNorms(int batch, int tokens, int d) {
    sides.expect(
        2e-5,
        side ->
            side.ops()
                .rmsNormModulated(
                    side.random(1, batch, tokens, d),
                    side.vector(2, d),
                    1e-5f,
                    side.vector(3, batch, 1, d)));
    for (Optional<Integer> seed : List.of(Optional.of(4), Optional.<Integer>empty())) {
      sides.expect(
          2e-5,
          side ->
              side.ops()
                  .layerNormModulated(
                      side.random(1, batch, tokens, d),
                      1e-6f,
                      side.vector(3, batch, 1, d),
                      seed.map(s -> side.vector(s, batch, 1, d))));
      sides.expect(
          2e-5,
          side ->
              side.ops()
                  .addRmsNorm(
                      side.random(1, batch, tokens, d),
                      seed.map(s -> side.vector(s, batch, 1, d)),
                      side.random(5, batch, tokens, d),
                      side.vector(6, d),
                      1e-5f));
    }
  }

  @ParameterizedTest
  @CsvSource({"1,1,1,4", "2,7,3,16", "1,33,5,64", "2,40,6,128", "1,9,2,40", "1,5,1,512"})
  void rmsNormRope(int batch, int tokens, int heads, int d) {
    for (RopeTable.Pairs pairs : RopeTable.Pairs.values()) {
      for (long[] table : new long[][] {{tokens, d / 2}, {batch, tokens, d / 2}}) {
        sides.expect(
            2e-5,
            side ->
                side.ops()
                    .rmsNormRope(
                        side.random(1, batch, tokens, heads, d),
                        side.vector(2, d),
                        1e-5f,
                        new RopeTable(side.vector(3, table), side.vector(4, table), pairs)));
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"1,1,1,4,2", "1,8,8,32,32", "2,5,7,24,3", "1,40,40,64,32", "1,30,33,512,32"})
  void groupNormSilu(int batch, int height, int width, int channels, int groups) {
    sides.expect(
        2e-5,
        side ->
            side.ops()
                .groupNormSilu(
                    side.random(1, batch, height, width, channels),
                    groups,
                    side.random(2, channels),
                    side.random(3, channels),
                    1e-6f));
  }
}
