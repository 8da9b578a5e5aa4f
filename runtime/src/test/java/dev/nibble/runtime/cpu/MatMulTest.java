package dev.nibble.runtime.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.runtime.tensor.LinearWeight;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.WeightSource;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MatMulTest {
  @ParameterizedTest
  @CsvSource({
    "1,1,1",
    "1,192,256",
    "3,5,7",
    "4,64,64",
    "5,6,7",
    "17,13,129",
    "32,192,192",
    "33,97,65",
    "64,192,192",
    "64,512,192",
    "65,192,512",
    "129,31,1300",
    "200,50,700"
  })
  void matchesTheReference(int m, int n, int k) {
    Random random = new Random(m * 31L + n * 7L + k);
    float[] w = floats(random, n * k);
    float[] x = floats(random, m * k);
    float[] b = floats(random, n);
    try (CpuBackend backend = new CpuBackend();
        Ops ops = backend.newOps("test");
        Ops reference = new ReferenceOps(new AtomicLong())) {
      LinearWeight weight =
          backend
              .newWeights("test")
              .linear(
                  "w", new WeightSource.Dense(MemorySegment.ofArray(w), DType.F32, Shape.of(n, k)));
      for (Optional<float[]> bias : List.of(Optional.of(b), Optional.<float[]>empty())) {
        assertArrayEquals(
            reference.toHost(
                reference.linear(
                    reference.fromHost(x, m, k), weight, bias.map(v -> reference.fromHost(v, n)))),
            ops.toHost(
                ops.linear(ops.fromHost(x, m, k), weight, bias.map(v -> ops.fromHost(v, n)))),
            2e-6f * k);
      }
    }
  }

  private static float[] floats(Random random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = random.nextFloat(-1, 1);
    }
    return values;
  }
}
