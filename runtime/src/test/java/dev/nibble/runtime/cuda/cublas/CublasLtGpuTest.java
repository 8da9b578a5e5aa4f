package dev.nibble.runtime.cuda.cublas;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.nibble.runtime.cuda.RequiresGpu;
import dev.nibble.runtime.cuda.driver.CudaDevice;
import dev.nibble.runtime.cuda.driver.CudaDriver;
import dev.nibble.runtime.cuda.driver.CudaStream;
import dev.nibble.runtime.device.DeviceArena;
import dev.nibble.runtime.device.DeviceBuffer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@RequiresGpu
class CublasLtGpuTest {
  private final CudaDevice device = CudaDriver.open().device(0);
  private final Optional<CublasLt> library = CublasLt.open(device);

  @BeforeEach
  void installed() {
    assumeTrue(library.isPresent(), "cuBLASLt is not installed here");
  }

  @AfterEach
  void close() {
    library.ifPresent(CublasLt::close);
    device.close();
  }

  private static float[] values(int count, int seed) {
    Random random = new Random(seed);
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      // Short enough for bfloat16 to hold: the products are compared, not the rounding of inputs.
      values[i] =
          Float.intBitsToFloat(Float.floatToIntBits((float) random.nextGaussian()) & 0xffff0000);
    }
    return values;
  }

  private static MemorySegment encode(float[] values, Product.Type type, Arena arena) {
    if (type == Product.Type.F32) {
      return arena.allocateFrom(ValueLayout.JAVA_FLOAT, values);
    }
    MemorySegment bytes = arena.allocate(2L * values.length, 16);
    for (int i = 0; i < values.length; i++) {
      bytes.setAtIndex(
          ValueLayout.JAVA_SHORT, i, (short) (Float.floatToRawIntBits(values[i]) >>> 16));
    }
    return bytes;
  }

  private static float[] decode(MemorySegment bytes, Product.Type type) {
    if (type == Product.Type.F32) {
      return bytes.toArray(ValueLayout.JAVA_FLOAT);
    }
    float[] values = new float[(int) (bytes.byteSize() / 2)];
    for (int i = 0; i < values.length; i++) {
      values[i] = Float.intBitsToFloat(bytes.getAtIndex(ValueLayout.JAVA_SHORT, i) << 16);
    }
    return values;
  }

  /// Runs a product; every operand lies `shift` elements behind an aligned address.
  private float[] run(Product product, float[] a, float[] b, float[] bias, int shift) {
    int in = product.input() == Product.Type.F32 ? 4 : 2;
    int out = product.output() == Product.Type.F32 ? 4 : 2;
    long bytes = product.m() * product.n() * out;
    try (DeviceArena arena = device.arena("test", Long.MAX_VALUE);
        DeviceBuffer deviceA = arena.allocate("A", (a.length + shift) * (long) in);
        DeviceBuffer deviceB = arena.allocate("B", (b.length + shift) * (long) in);
        DeviceBuffer deviceBias = arena.allocate("bias", (bias.length + shift) * (long) out);
        DeviceBuffer deviceC = arena.allocate("C", bytes + (long) shift * out);
        DeviceBuffer workspace = arena.allocate("workspace", CublasLt.WORKSPACE_BYTES);
        CudaStream stream = device.newStream();
        Arena host = Arena.ofConfined()) {
      long addressA = deviceA.address() + (long) shift * in;
      long addressB = deviceB.address() + (long) shift * in;
      long addressBias = deviceBias.address() + (long) shift * out;
      long addressC = deviceC.address() + (long) shift * out;
      stream.fill(deviceC.address(), (byte) 0xff, deviceC.byteSize());
      stream.copyIn(addressA, encode(a, product.input(), host));
      stream.copyIn(addressB, encode(b, product.input(), host));
      stream.copyIn(addressBias, encode(bias, product.output(), host));
      boolean can =
          library
              .orElseThrow()
              .multiply(
                  stream, product, addressA, addressB, addressC, addressBias, workspace.address());
      assumeTrue(can, "cuBLASLt has no algorithm for " + product);
      MemorySegment result = host.allocate(bytes, 16);
      stream.copyOut(result, addressC);
      stream.synchronize();
      return decode(result, product.output());
    }
  }

  private static double relativeError(
      Product product, float[] a, float[] b, float[] bias, float[] c) {
    int n = (int) product.n();
    int k = (int) product.k();
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < product.m(); i++) {
      for (int j = 0; j < n; j++) {
        double sum = product.biased() ? bias[j] : 0;
        for (int l = 0; l < k; l++) {
          sum += (double) a[i * k + l] * b[j * k + l];
        }
        difference += Math.pow(sum - c[i * n + j], 2);
        norm += sum * sum;
      }
    }
    return Math.sqrt(difference / norm);
  }

  @ParameterizedTest
  @CsvSource({
    "64, 96, 128, BF16, BF16, false, 0, 4e-3",
    "64, 96, 128, BF16, BF16, true, 0, 4e-3",
    "64, 96, 128, BF16, F32, false, 0, 1e-5",
    "64, 96, 128, BF16, F32, true, 0, 1e-5",
    "33, 96, 128, F32, F32, true, 0, 1e-5",
    "1, 192, 256, BF16, BF16, false, 0, 4e-3",
    "77, 40, 24, BF16, BF16, true, 1, 4e-3",
    "33, 40, 64, BF16, F32, false, 3, 1e-5",
    "257, 384, 192, BF16, BF16, true, 8, 4e-3",
  })
  void equalsProductInDouble(
      int m,
      int n,
      int k,
      Product.Type input,
      Product.Type output,
      boolean biased,
      int shift,
      double bound) {
    Product product = new Product(m, n, k, input, output, biased);
    float[] a = values(m * k, 1);
    float[] b = values(n * k, 2);
    float[] bias = values(n, 3);
    for (int pass = 0; pass < 2; pass++) { // the second uses the remembered plan
      double error = relativeError(product, a, b, bias, run(product, a, b, bias, shift));
      assertTrue(error <= bound, product + ": relative error " + error);
    }
  }

  @Test
  void threadsMultiplyAtOnce() throws InterruptedException, ExecutionException {
    Product product = new Product(128, 128, 256, Product.Type.BF16, Product.Type.BF16, true);
    float[] a = values(128 * 256, 1);
    float[] b = values(128 * 256, 2);
    try (ExecutorService threads = Executors.newFixedThreadPool(8)) {
      List<Future<?>> done = new ArrayList<>();
      for (int t = 0; t < 8; t++) {
        float[] bias = values(128, 10 + t);
        float[] expected = run(product, a, b, bias, 0);
        done.add(
            threads.submit(() -> {
              for (int i = 0; i < 20; i++) {
                assertArrayEquals(expected, run(product, a, b, bias, 0));
              }
            }));
      }
      for (Future<?> future : done) {
        future.get();
      }
    }
  }
}
