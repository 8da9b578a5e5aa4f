package dev.nibble.runtime.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.QuantScheme;
import java.util.List;
import java.util.Random;
import java.util.function.Function;

/// Two backends that compute the same, one of them right.
record OpsSides(Side tested, Side oracle) {
  /// One backend with its memory.
  record Side(Backend backend, WeightStore weights, Ops ops) {
    /// Numbers between -1 and 1.
    Tensor random(int seed, long... dims) {
      int count = (int) Shape.of(dims).elements();
      return ops.fromHost(numbers(seed, count), dims);
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

  OpsSides(Backend tested, Ops ops, Backend oracle) {
    this(
        new Side(tested, tested.newWeights("test"), ops),
        new Side(oracle, oracle.newWeights("test"), oracle.newOps("test")));
  }

  float[] random(int count) {
    return numbers(99, count);
  }

  private static float[] numbers(int seed, int count) {
    Random random = new Random(seed);
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = random.nextFloat(-1, 1);
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
    for (int i = 0; i < b.length; i++) {
      double allowed = tolerance * Math.max(1, Math.abs(b[i]));
      if (!(Math.abs(a[i] - b[i]) <= allowed)) {
        throw new AssertionError(
            "element %d of %s is %s, not %s within %s"
                .formatted(i, result.shape(), a[i], b[i], allowed));
      }
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
