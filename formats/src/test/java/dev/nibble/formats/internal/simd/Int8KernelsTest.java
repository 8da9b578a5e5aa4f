package dev.nibble.formats.internal.simd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// Vector kernels against their scalar twins: equal bytes, equal floats, and error sums that differ
/// by float32 summation only.
class Int8KernelsTest {
  private static final long SEED = 4711;
  private static final int ROUNDS = 400;

  private final Int8Kernels scalar = new ScalarInt8Kernels();
  private final Int8Kernels vector = new VectorInt8Kernels();
  private Random random = new Random(SEED);

  @BeforeEach
  void seed() {
    random = new Random(SEED);
  }

  /// One block of numbers in an array with a margin, so that ranges don't begin at 0.
  private float[] block(int from, int to) {
    float[] x = FloatConversionTest.hardNumbers(random, to + 5);
    float scale = (float) Math.exp(random.nextGaussian() * 8);
    int kind = random.nextInt(4);
    for (int i = from; i < to; i++) {
      x[i] =
          switch (kind) {
            case 0 -> (float) random.nextGaussian() * scale;
            case 1 -> (random.nextInt(255) - 127 + 0.5f * random.nextInt(2)) * scale;
            case 2 ->
                Float.intBitsToFloat(random.nextInt(1 << 23) | (random.nextInt() & 0x80000000));
            default -> random.nextBoolean() ? -0f : (random.nextInt(9) - 4) * 0x1p-149f;
          };
    }
    return x;
  }

  private static byte[] codes(int from, int to) {
    return new byte[to - from + 7];
  }

  private static String at(int round) {
    return "seed " + SEED + " round " + round;
  }

  @Test
  void maximaSeeEveryKindOfNumber() {
    for (int round = 0; round < ROUNDS; round++) {
      int from = random.nextInt(40);
      int to = from + random.nextInt(300);
      float[] x =
          round % 2 == 0 ? FloatConversionTest.hardNumbers(random, to + 5) : block(from, to);
      assertEquals(scalar.absmaxBits(x, from, to), vector.absmaxBits(x, from, to), at(round));
      assertEquals(scalar.rangeBits(x, from, to), vector.rangeBits(x, from, to), at(round));
      float[] a = new float[x.length];
      float[] b = new float[x.length];
      scalar.throughHalf(x, from, to, a);
      vector.throughHalf(x, from, to, b);
      assertArrayEquals(canonicalBits(a), canonicalBits(b), at(round));
    }
    float[] mixed = {-0f, 3f, -7f, 0f};
    assertEquals(7f, Float.intBitsToFloat(scalar.absmaxBits(mixed, 0, 4)));
    long range = scalar.rangeBits(mixed, 0, 4);
    assertEquals(3f, Float.intBitsToFloat((int) (range >>> 32)));
    assertEquals(7f, Float.intBitsToFloat((int) range));
    mixed[1] = Float.NaN;
    assertTrue(scalar.absmaxBits(mixed, 0, 4) > 0x7f800000);
  }

  private interface Encode {
    void run(Int8Kernels kernels, float[] x, MemorySegment codes, ErrorSum error);
  }

  private void checkEncoder(int round, float[] x, int from, int to, Encode encode) {
    byte[] a = codes(from, to);
    byte[] b = codes(from, to);
    ErrorSum errorA = new ErrorSum();
    ErrorSum errorB = new ErrorSum();
    encode.run(scalar, x, MemorySegment.ofArray(a), errorA);
    encode.run(vector, x, MemorySegment.ofArray(b), errorB);
    assertArrayEquals(a, b, at(round));
    errorA.flush();
    errorB.flush();
    assertClose(errorA.squares(), errorB.squares(), round);
    assertClose(errorA.errors(), errorB.errors(), round);
    assertClose(errorA.max(), errorB.max(), round);
  }

  private static void assertClose(double expected, double found, int round) {
    assertEquals(expected, found, 1e-5 * Math.abs(expected) + Double.MIN_VALUE, at(round));
  }

  @Test
  void encodersGiveEqualBytes() {
    byte[] table = new byte[65_536];
    random.nextBytes(table);
    float[] values = new float[256];
    for (int i = 0; i < 256; i++) {
      values[i] = random.nextFloat() * 2 - 1;
    }
    for (int round = 0; round < ROUNDS; round++) {
      int from = random.nextInt(40);
      int to = from + 1 + random.nextInt(300);
      float[] x = block(from, to);
      float absmax = Float.intBitsToFloat(scalar.absmaxBits(x, from, to));
      if (absmax == 0) {
        continue;
      }
      float scale = Math.max(absmax / 127f, Float.MIN_VALUE);
      checkEncoder(
          round, x, from, to, (k, y, codes, sum) -> k.divide(y, from, to, scale, codes, 3, sum));
      int zero = random.nextInt(256);
      checkEncoder(
          round,
          x,
          from,
          to,
          (k, y, codes, sum) -> k.affine(y, from, to, scale, zero, 255, codes, 3, sum));
      checkEncoder(
          round,
          x,
          from,
          to,
          (k, y, codes, sum) -> k.affine(y, from, to, 17 * scale, zero & 15, 15, codes, 3, sum));
      float inverse = 1f / absmax;
      if (Float.isFinite(inverse)) {
        float factor = inverse * 127f;
        checkEncoder(
            round,
            x,
            from,
            to,
            (k, y, codes, sum) ->
                k.multiply(y, y, from, to, factor, absmax, 1f / 127f, codes, 3, sum));
        Int8Kernels.DecodedWork work = new Int8Kernels.DecodedWork(to);
        checkEncoder(
            round,
            x,
            from,
            to,
            (k, y, codes, sum) ->
                k.lookUp(y, from, to, inverse, absmax, table, values, work, codes, 3, sum));
      }
    }
  }

  @Test
  void decodersGiveEqualFloats() {
    float[] values = new float[256];
    for (int i = 0; i < 256; i++) {
      values[i] = random.nextFloat() * 2 - 1;
    }
    for (int round = 0; round < ROUNDS; round++) {
      int from = random.nextInt(40);
      int to = from + random.nextInt(300);
      byte[] bytes = codes(from, to);
      random.nextBytes(bytes);
      MemorySegment codes = MemorySegment.ofArray(bytes);
      float scale = (float) Math.exp(random.nextGaussian() * 20);
      int zero = random.nextInt(256);
      int flip = random.nextBoolean() ? 0x80 : 0;
      float[] a = new float[to];
      float[] b = new float[to];
      scalar.decodeSigned(codes, 3, scale, 1f / 127f, a, from, to);
      vector.decodeSigned(codes, 3, scale, 1f / 127f, b, from, to);
      assertArrayEquals(canonicalBits(a), canonicalBits(b), at(round));
      scalar.decodeAffine(codes, 3, flip, zero, scale, a, from, to);
      vector.decodeAffine(codes, 3, flip, zero, scale, b, from, to);
      assertArrayEquals(canonicalBits(a), canonicalBits(b), at(round));
      scalar.decodeLookUp(codes, 3, values, scale, a, from, to);
      vector.decodeLookUp(codes, 3, values, scale, b, from, to);
      assertArrayEquals(canonicalBits(a), canonicalBits(b), at(round));
    }
  }

  @Test
  void roundingIsToNearestEven() {
    for (int round = 0; round < 20_000; round++) {
      float value = (random.nextInt(1 << 12) - 2048) / 8f;
      assertEquals((int) Math.rint(value), ScalarInt8Kernels.round(value));
    }
  }

  private static int[] canonicalBits(float[] values) {
    int[] bits = new int[values.length];
    for (int i = 0; i < values.length; i++) {
      bits[i] = Float.floatToIntBits(values[i]);
    }
    return bits;
  }
}
