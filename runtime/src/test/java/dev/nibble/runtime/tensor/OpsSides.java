package dev.nibble.runtime.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.QuantScheme;
import java.util.List;
import java.util.Random;
import java.util.function.Function;

/// Two backends that compute the same, one of them right.
record OpsSides(Side tested, Side oracle, Comparison comparison) {
  /// How results are compared.
  ///
  /// @param relative largest Euclidean norm of the differences, relative to that of the results; 0
  ///   compares element by element, within the tolerance of each test
  /// @param inputs makes a tensor of numbers on the tested side
  /// @param coarse whether random numbers are such as bfloat16 holds
  record Comparison(double relative, Inputs inputs, boolean coarse) {
    static final Comparison ELEMENTS = new Comparison(0, Ops::fromHost, false);
  }

  /// Makes a tensor.
  @FunctionalInterface
  interface Inputs {
    Tensor of(Ops ops, float[] values, long... dims);
  }

  /// One backend with its memory.
  record Side(Backend backend, WeightStore weights, Ops ops, Inputs inputs, boolean coarse) {
    /// Numbers between -1 and 1.
    Tensor random(int seed, long... dims) {
      int count = (int) Shape.of(dims).elements();
      return inputs.of(ops, numbers(seed, count, coarse), dims);
    }

    /// Numbers between -1 and 1 in float32 on either side: weights, gates, angles.
    Tensor vector(int seed, long... dims) {
      int count = (int) Shape.of(dims).elements();
      return ops.fromHost(numbers(seed, count, coarse), dims);
    }

    LinearWeight dense(float[] values, DType type, int out, int in) {
      return weights.linear("w", TestWeights.dense(values, type, out, in));
    }

    LinearWeight quantized(float[] values, QuantScheme scheme, int out, int in) {
      return weights.linear("w", TestWeights.quantized(values, scheme, out, in));
    }

    private void close() {
      ops.close();
      weights.close();
      long open = backend.openBytes();
      backend.close();
      assertEquals(0, open, "bytes open after everything closed");
    }
  }

  OpsSides(Backend tested, Ops ops, Backend oracle, Comparison comparison) {
    this(
        new Side(tested, tested.newWeights("test"), ops, comparison.inputs(), comparison.coarse()),
        new Side(
            oracle,
            oracle.newWeights("test"),
            oracle.newOps("test"),
            Ops::fromHost,
            comparison.coarse()),
        comparison);
  }

  float[] random(int count) {
    return numbers(99, count, comparison.coarse());
  }

  private static float[] numbers(int seed, int count, boolean coarse) {
    Random random = new Random(seed);
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      float value = random.nextFloat(-1, 1);
      values[i] = coarse ? Float.intBitsToFloat(Float.floatToIntBits(value) & 0xffff0000) : value;
    }
    return values;
  }

  /// Both sides compute the same.
  ///
  /// @param tolerance of a difference, relative to numbers above 1
  void expect(double tolerance, Function<Side, Tensor> computation) {
    Tensor result = computation.apply(tested);
    Tensor expected = computation.apply(oracle);
    assertEquals(expected.shape(), result.shape());
    float[] a = tested.ops.toHost(result);
    float[] b = oracle.ops.toHost(expected);
    if (comparison.relative() > 0) {
      expectNear(a, b, result);
      return;
    }
    for (int i = 0; i < b.length; i++) {
      double allowed = tolerance * Math.max(1, Math.abs(b[i]));
      if (!(Math.abs(a[i] - b[i]) <= allowed)) {
        throw new AssertionError(
            "element %d of %s is %s, not %s within %s"
                .formatted(i, result.shape(), a[i], b[i], allowed));
      }
    }
  }

  private void expectNear(float[] a, float[] b, Tensor result) {
    double differences = 0;
    double squares = 0;
    for (int i = 0; i < b.length; i++) {
      differences += Math.pow((double) a[i] - b[i], 2);
      squares += (double) b[i] * b[i];
    }
    double error = Math.sqrt(differences);
    double allowed = comparison.relative() * Math.sqrt(squares);
    if (!(error <= allowed)) {
      throw new AssertionError(
          "%s of %s is off by %s, not within %s"
              .formatted(result.dtype(), result.shape(), error, allowed));
    }
  }

  void expectNumber(double tolerance, Function<Side, Double> computation) {
    double expected = computation.apply(oracle);
    assertEquals(
        expected, computation.apply(tested), tolerance * Math.max(1e-3, Math.abs(expected)));
  }

  void close() {
    for (Side side : List.of(tested, oracle)) {
      side.close();
    }
  }
}
