package dev.nibble.formats.internal.simd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.nibble.formats.DType;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/// The vector kernel against its scalar twin.
final class FourBitKernelTest {
  /// Evenly spread values: one bound a cell.
  private static final FourBitTable EVEN = even();

  /// Two values close to zero on each side, codes in an order of their own: the shape of FP4.
  private static final FourBitTable FP4 =
      new FourBitTable(
          new float[] {
            -1f, -2 / 3f, -0.5f, -1 / 3f, -0.25f, -1 / 6f, -1 / 192f, 0f, 0f, 1 / 192f, 1 / 6f,
            0.25f, 1 / 3f, 0.5f, 2 / 3f, 1f
          },
          new byte[] {11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3});

  private static FourBitTable even() {
    float[] values = new float[16];
    byte[] codes = new byte[16];
    for (int i = 0; i < 16; i++) {
      values[i] = (2 * i - 15) / 15f;
      codes[i] = (byte) i;
    }
    return new FourBitTable(values, codes);
  }

  private final FourBitKernel scalar = new ScalarFourBit();

  @BeforeEach
  void needsVectors() {
    assumeTrue(
        Simd.isVector() && VectorFourBit.isSupported(),
        "no vectors of 512 bits here, or not wanted");
  }

  static Stream<Arguments> cases() {
    return Stream.of(DType.BF16, DType.F16, DType.F32)
        .flatMap(
            type -> IntStream.rangeClosed(5, 12).mapToObj(log -> Arguments.of(type, 1 << log)));
  }

  @Test
  void theVectorKernelIsChosen() {
    assertInstanceOf(VectorFourBit.class, FourBitKernel.best());
  }

  @ParameterizedTest
  @MethodSource("cases")
  void encodesAlike(DType type, int blockSize) {
    for (long seed = 0; seed < 40; seed++) {
      Random random = new Random(seed);
      FourBitTable table = seed % 2 == 0 ? EVEN : FP4;
      FourBitChunk expected = new FourBitChunk(type, blockSize);
      FourBitChunk actual = new FourBitChunk(type, blockSize);
      int capacity = expected.capacity();
      int blocks = 1 + random.nextInt(capacity);
      MemorySegment source =
          MemorySegment.ofArray(new byte[(int) type.byteSize((long) capacity * blockSize)]);
      FloatWriter.of(type)
          .write(values(random, capacity * blockSize, blockSize), capacity * blockSize, source, 0);
      expected.load(source, 0, blocks);
      actual.load(source, 0, blocks);
      scalar.encode(table, expected, blocks);
      new VectorFourBit().encode(table, actual, blocks);
      String where = type + " blocks of " + blockSize + ", seed " + seed;
      int bytes = blocks * blockSize / 2;
      assertArrayEquals(
          Arrays.copyOf(expected.codes, bytes), Arrays.copyOf(actual.codes, bytes), where);
      for (int i = 0; i < blocks; i++) {
        assertEquals(
            Float.floatToRawIntBits(expected.absmax[i]),
            Float.floatToRawIntBits(actual.absmax[i]),
            where);
        float[] e = Arrays.copyOfRange(expected.statistics, 4 * i, 4 * i + 4);
        float[] v = Arrays.copyOfRange(actual.statistics, 4 * i, 4 * i + 4);
        assertClose(e[0], v[0], 1e-5 * e[0], where);
        // Its terms may cancel.
        assertClose(e[1], v[1], 1e-5 * Math.sqrt(e[0]) * Math.sqrt(e[2]), where);
        assertClose(e[2], v[2], 1e-5 * e[2], where);
        assertClose(e[3], v[3], 1e-6 * e[3], where);
      }
    }
  }

  private static void assertClose(double expected, double actual, double tolerance, String where) {
    if (expected != actual) {
      assertEquals(expected, actual, tolerance, where);
    }
  }

  /// Blocks of very different kinds: gaussian of many scales, zeros, denormals, numbers at the
  /// bounds of bins, equal magnitudes, and now and then something that is not finite.
  private static float[] values(Random random, int count, int blockSize) {
    float[] values = new float[count];
    float scale = 1;
    int kind = 0;
    for (int i = 0; i < count; i++) {
      if (i % blockSize == 0) {
        scale = Math.scalb(1f, random.nextInt(20) - 15);
        kind = random.nextInt(12);
      }
      values[i] =
          switch (kind) {
            case 0 -> random.nextBoolean() ? 0f : -0f;
            case 1 -> Float.intBitsToFloat(random.nextInt(1 << 20));
            case 2 -> Float.intBitsToFloat(random.nextInt());
            case 3 -> (random.nextInt(31) - 15) / 15f;
            case 4 -> random.nextBoolean() ? scale : -scale;
            case 5 -> random.nextInt(300) == 0 ? Float.NEGATIVE_INFINITY : scale;
            case 6 -> (float) random.nextGaussian() * 1e38f;
            case 7 -> (float) random.nextGaussian() * 1e-37f;
            default -> (float) random.nextGaussian() * scale;
          };
    }
    return values;
  }

  @Test
  void looksUpAlike() {
    Random random = new Random(7);
    for (int blockSize = 32; blockSize <= 4096; blockSize *= 2) {
      int blocks = 4096 / blockSize;
      byte[] codes = new byte[2048];
      random.nextBytes(codes);
      float[] codebook = new float[16];
      float[] absmax = new float[blocks];
      for (int i = 0; i < 16; i++) {
        codebook[i] = random.nextFloat() * 2 - 1;
      }
      for (int i = 0; i < blocks; i++) {
        absmax[i] = Float.intBitsToFloat(random.nextInt() & 0x7fffffff);
      }
      absmax[0] = blockSize == 64 ? Float.NaN : absmax[0];
      float[][] tables = new float[2][16 * (blocks + 1)];
      scalar.tables(codebook, absmax, blocks, tables[0]);
      new VectorFourBit().tables(codebook, absmax, blocks, tables[1]);
      assertArrayEquals(tables[0], tables[1], "blocks of " + blockSize);
      float[][] floats = new float[2][4096];
      scalar.lookup(codes, blocks, blockSize, tables[0], floats[0]);
      new VectorFourBit().lookup(codes, blocks, blockSize, tables[0], floats[1]);
      assertArrayEquals(floats[0], floats[1], "blocks of " + blockSize);
      for (DType type : new DType[] {DType.BF16, DType.F16}) {
        short[][] rounded = new short[2][16 * (blocks + 1)];
        scalar.round(tables[0], 16 * blocks, type, rounded[0]);
        new VectorFourBit().round(tables[0], 16 * blocks, type, rounded[1]);
        assertArrayEquals(rounded[0], rounded[1], type + " blocks of " + blockSize);
        short[][] shorts = new short[2][4096];
        scalar.lookup(codes, blocks, blockSize, rounded[0], shorts[0]);
        new VectorFourBit().lookup(codes, blocks, blockSize, rounded[0], shorts[1]);
        assertArrayEquals(shorts[0], shorts[1], type + " blocks of " + blockSize);
      }
    }
  }

  @Test
  void sumsErrorsAlike() {
    Random random = new Random(8);
    for (int count : new int[] {1, 7, 8, 100, 256}) {
      FourBitErrors expected = new FourBitErrors(256);
      FourBitErrors actual = new FourBitErrors(256);
      float[] exact = new float[256];
      float[] decoded = new float[256];
      for (int i = 0; i < 256; i++) {
        exact[i] = random.nextFloat();
        decoded[i] = exact[i] + (float) random.nextGaussian() * 0.01f;
        expected.statistics[4 * i] = random.nextFloat();
        expected.statistics[4 * i + 1] = random.nextFloat() - 0.5f;
        expected.statistics[4 * i + 2] = random.nextFloat() * 10;
        expected.statistics[4 * i + 3] = random.nextFloat();
      }
      System.arraycopy(expected.statistics, 0, actual.statistics, 0, 4 * 256);
      scalar.sumErrors(expected, exact, decoded, count);
      new VectorFourBit().sumErrors(actual, exact, decoded, count);
      assertEquals(expected.sumSquares, actual.sumSquares, 1e-12 * expected.sumSquares);
      assertEquals(
          expected.sumSquaredErrors, actual.sumSquaredErrors, 1e-12 * expected.sumSquaredErrors);
      assertEquals(expected.maxError, actual.maxError);
    }
  }
}
