package dev.nibble.runtime.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.runtime.cpu.CpuBackend;
import dev.nibble.runtime.cuda.CudaOptions.Precision;
import dev.nibble.runtime.device.OutOfDeviceMemoryException;
import dev.nibble.runtime.tensor.AttentionBias;
import dev.nibble.runtime.tensor.AttentionOptions;
import dev.nibble.runtime.tensor.Backend;
import dev.nibble.runtime.tensor.Conv2d;
import dev.nibble.runtime.tensor.LinearWeight;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.RopeTable;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.tensor.TestWeights;
import dev.nibble.runtime.tensor.WeightSource;
import dev.nibble.runtime.tensor.WeightStore;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.Function;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Shapes of real models, decoding, and limits of memory, against the CPU.
@RequiresGpu
class CudaShapesGpuTest {
  @SuppressWarnings("NullAway.Init") // set before all tests
  private static CpuBackend cpu;

  @SuppressWarnings("NullAway.Init") // set before all tests
  private static CudaBackend exact;

  @SuppressWarnings("NullAway.Init") // set before all tests
  private static CudaBackend fast;

  @BeforeAll
  static void open() {
    cpu = new CpuBackend();
    exact = CudaBackend.open(0, CudaOptions.DEFAULT.withPrecision(Precision.F32), true);
    fast = CudaBackend.open(0, CudaOptions.DEFAULT, true);
  }

  @AfterAll
  static void close() {
    fast.close();
    exact.close();
    cpu.close();
  }

  /// One side with what it computes with.
  private record Side(Ops ops, WeightStore weights) {
    Tensor random(int seed, long... dims) {
      return ops.fromHost(numbers(seed, (int) Shape.of(dims).elements()), dims);
    }
  }

  private static float[] numbers(int seed, int count) {
    Random random = new Random(seed);
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private static float[] run(Backend backend, Function<Side, Tensor> computation) {
    try (Ops ops = backend.newOps("test");
        WeightStore weights = backend.newWeights("test")) {
      return ops.toHost(computation.apply(new Side(ops, weights)));
    }
  }

  private static void expect(Function<Side, Tensor> computation) {
    float[] expected = run(cpu, computation);
    assertTrue(error(expected, run(exact, computation)) <= 1e-5, "float32");
    double error = error(expected, run(fast, computation));
    assertTrue(error <= 1e-2, "bfloat16: " + error);
  }

  private static double error(float[] expected, float[] actual) {
    assertEquals(expected.length, actual.length);
    double differences = 0;
    double squares = 0;
    for (int i = 0; i < expected.length; i++) {
      differences += Math.pow((double) actual[i] - expected[i], 2);
      squares += (double) expected[i] * expected[i];
    }
    return Math.sqrt(differences / squares);
  }

  @ParameterizedTest
  @CsvSource({
    "1,3840,3840,nf4",
    "1,15360,256,nf4",
    "300,3840,3840,nf4",
    "300,1024,10240,nf4:plain",
    "16,2560,9728,int8",
    "1,3840,3840,fp8:row",
    "40,512,3840,fp8",
    "64,512,3840,fp8:row:bf16",
    "17,2560,4096,affine8",
    "257,3072,3072,fp4",
    "4096,3840,64,nf4"
  })
  void linear(int rows, int out, int in, String scheme) {
    WeightSource weight =
        TestWeights.quantized(numbers(1, out * in), QuantSchemes.parse(scheme), out, in);
    // As in a model: an input that a norm gave.
    expect(side ->
        side.ops()
            .linear(
                side.ops().rmsNorm(side.random(2, rows, in), Optional.empty(), 1e-6f),
                side.weights().linear("w", weight),
                Optional.of(side.random(3, out))));
  }

  @ParameterizedTest
  @CsvSource({
    "1,700,700,30,30,128",
    "1,333,333,32,8,128",
    "1,1024,1024,1,1,512",
    "2,96,130,3,3,64"
  })
  void attention(int batch, int queries, int keys, int heads, int keyHeads, int dim) {
    AttentionBias bias =
        keyHeads < heads
            ? new AttentionBias.LowerTriangular()
            : batch == 1
                ? new AttentionBias.None()
                : new AttentionBias.KeyLengths(List.of(keys, keys - 31));
    expect(side ->
        side.ops()
            .attention(
                side.random(1, batch, queries, heads, dim),
                side.random(2, batch, keys, keyHeads, dim),
                side.random(3, batch, keys, keyHeads, dim),
                AttentionOptions.DEFAULT.withBias(bias)));
  }

  @ParameterizedTest
  @CsvSource({
    "64,64,512,512,3,1",
    "96,70,256,128,3,1",
    "65,64,128,128,3,2",
    "128,100,128,3,3,1",
    "33,31,16,512,3,1",
    "64,64,512,256,1,1"
  })
  void conv2d(int height, int width, int in, int out, int kernel, int stride) {
    Conv2d geometry =
        stride == 2
            ? new Conv2d(3, 2, 0, 0, 1, 1)
            : kernel == 3 ? Conv2d.SAME_3X3 : Conv2d.POINTWISE;
    WeightSource weight =
        TestWeights.dense(
            numbers(1, out * kernel * kernel * in), DType.F32, out, (long) kernel * kernel * in);
    expect(side ->
        side.ops()
            .conv2d(
                side.random(2, 1, height, width, in),
                side.weights().linear("w", weight),
                Optional.of(side.random(3, out)),
                geometry));
  }

  @Test
  void normsOfATransformer() {
    expect(side ->
        side.ops()
            .rmsNormModulated(
                side.random(1, 1, 1000, 3840),
                side.random(2, 3840),
                1e-5f,
                side.random(3, 1, 1, 3840)));
    expect(side ->
        side.ops()
            .addRmsNorm(
                side.random(1, 2, 500, 3840),
                Optional.of(side.random(2, 2, 1, 3840)),
                side.random(3, 2, 500, 3840),
                side.random(4, 3840),
                1e-5f));
    for (RopeTable.Pairs pairs : RopeTable.Pairs.values()) {
      expect(side ->
          side.ops()
              .rmsNormRope(
                  side.random(1, 1, 500, 30, 128),
                  side.random(2, 128),
                  1e-5f,
                  new RopeTable(side.random(3, 1, 500, 64), side.random(4, 1, 500, 64), pairs)));
    }
    expect(side ->
        side.ops()
            .groupNormSilu(
                side.random(1, 1, 256, 200, 128),
                32,
                side.random(2, 128),
                side.random(3, 128),
                1e-6f));
  }

  /// Rows of a table are what decoding gives.
  @ParameterizedTest
  @ValueSource(
      strings = {
        "nf4",
        "nf4:plain",
        "nf4:32",
        "nf4:4096",
        "fp4",
        "fp4:256:plain",
        "int8",
        "absmax8",
        "absmax8:48",
        "affine8",
        "affine8:64",
        "bnb8-dynamic",
        "bnb8-dynamic:256",
        "fp8",
        "fp8:row",
        "fp8:row:bf16",
        "fp8:plain",
        "fp8-e5m2"
      })
  void decodedWeightsAreBitEqual(String name) {
    QuantScheme scheme = QuantSchemes.parse(name);
    for (int in : new int[] {33, 96, 520, 4096}) {
      int out = 70;
      WeightSource weight = TestWeights.quantized(numbers(5, out * in), scheme, out, in);
      assertSameRows(weight, name + " in rows of " + in, out);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"int4:g32:asym", "int8:g64", "gguf:q8_0", "gguf:q4_k"})
  void weightsThatNoKernelReadsAreDecodedAsTheyAreLoaded(String name) {
    int out = 70;
    int in = 512;
    WeightSource weight =
        TestWeights.quantized(numbers(5, out * in), QuantSchemes.parse(name), out, in);
    assertSameRows(weight, name, out);
    try (WeightStore store = exact.newWeights("part")) {
      store.linear("w", weight);
      assertTrue(store.remarks().contains(name.split(":", -1)[0]), store.remarks());
    }
  }

  /// Threads carry weights across together: also those numbers that exist for the time of a call.
  @Test
  void decodedNumbersCrossTogetherWithOtherWeights() {
    int[] ids = {69, 0, 35};
    float[] numbers = numbers(5, 70 * 512);
    WeightSource other = TestWeights.quantized(numbers, QuantSchemes.parse("nf4"), 70, 512);
    for (WeightSource last :
        List.of(
            TestWeights.quantized(numbers, QuantSchemes.parse("int4:g32:asym"), 70, 512),
            TestWeights.dense(numbers, DType.F64, 70, 512))) {
      Function<Side, Tensor> rows =
          side -> {
            for (int i = 0; i < 64; i++) {
              side.weights().linear("other", other);
            }
            return side.ops().embedding(side.weights().linear("last", last), ids);
          };
      assertArrayEquals(run(cpu, rows), run(exact, rows));
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"F8_E4M3", "F8_E5M2", "F16", "BF16", "F32", "F64"})
  void numbersOfEveryTypeAreTheirOwn(DType type) {
    assertSameRows(TestWeights.dense(numbers(5, 70 * 96), type, 70, 96), type.name(), 70);
  }

  private static void assertSameRows(WeightSource weight, String name, int out) {
    int[] ids = new int[out];
    for (int i = 0; i < out; i++) {
      ids[i] = out - 1 - i;
    }
    Function<Side, Tensor> rows =
        side -> side.ops().embedding(side.weights().linear("w", weight), ids);
    assertArrayEquals(run(cpu, rows), run(exact, rows), name);
  }

  @Test
  void aSessionBeyondTheLimitSaysSoAndLeavesNothing() {
    long limit = 64L << 20;
    try (CudaBackend small = CudaBackend.open(0, CudaOptions.DEFAULT.withMemoryLimit(limit))) {
      try (Ops ops = small.newOps("picture")) {
        Tensor x = ops.fromHost(new float[4 << 20], 4 << 20);
        Tensor y = ops.affine(x, 1, 0);
        ops.release(x);
        OutOfDeviceMemoryException refusal =
            Assertions.assertThrows(
                OutOfDeviceMemoryException.class, () -> ops.concat(0, List.of(y, y, y, y)));
        assertTrue(String.valueOf(refusal.getMessage()).contains("picture"), refusal.getMessage());
        // What lay idle was given back for it, and the session goes on.
        assertEquals(4 << 20, ops.toHost(y).length);
      }
      assertEquals(0, small.openBytes());
    }
  }

  @Test
  void memoryOfAnEndedSessionGoesBackToTheDevice() {
    long free = fast.freeDeviceBytes();
    try (Ops ops = fast.newOps("test")) {
      ops.affine(ops.fromHost(new float[64 << 20], 64 << 20), 1, 0);
      assertTrue(fast.freeDeviceBytes() < free);
    }
    assertEquals(free, fast.freeDeviceBytes());
  }

  @Test
  void tensorsAndWeightsOfOtherBackendsAreRefused() {
    try (Ops ours = fast.newOps("test");
        Ops theirs = cpu.newOps("test");
        WeightStore weights = cpu.newWeights("test")) {
      Tensor foreign = theirs.fromHost(new float[4], 4);
      LinearWeight weight = weights.linear("w", TestWeights.dense(new float[16], DType.F32, 4, 4));
      Tensor mine = ours.fromHost(new float[4], 4);
      Assertions.assertThrows(IllegalArgumentException.class, () -> ours.affine(foreign, 1, 0));
      Assertions.assertThrows(
          IllegalArgumentException.class, () -> ours.linear(mine, weight, Optional.empty()));
    }
  }
}
