package dev.nibble.formats.internal.simd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.TestCheckpoint;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Both families of conversions against torch's casts, Java's own conversions and each other.
class FloatConversionTest {
  private static final int GUARD = 3;

  @Test
  void vectorKernelsRunInTests() {
    assumeTrue(VectorFloats.isWide(), "no vectors of 256 bits here");
    assertTrue(Simd.isVector());
  }

  @ParameterizedTest
  @EnumSource(names = {"F8_E4M3", "F8_E5M2"})
  void everyFp8CodeReadsAsTorchReadsIt(DType type) {
    try (TestCheckpoint tables = TestCheckpoint.golden("goldens/fp8/fp8_tables.safetensors")) {
      String prefix = type == DType.F8_E4M3 ? "e4m3fn" : "e5m2";
      float[] expected = tables.floats(prefix + "_as_f32");
      for (boolean vector : new boolean[] {false, true}) {
        float[] found = new float[256];
        reader(type, vector).read(tables.data(prefix + "_codes"), 0, found, 256);
        assertArrayEquals(canonicalBits(expected), canonicalBits(found));
      }
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"BF16", "F16", "F8_E4M3", "F8_E5M2"})
  void castsAreTorchs(DType type) {
    try (TestCheckpoint tables = TestCheckpoint.golden("goldens/fp8/fp8_tables.safetensors")) {
      float[] input = tables.floats("cast_input_f32");
      float[] expected = new float[input.length];
      String name =
          switch (type) {
            case BF16 -> "cast_bf16";
            case F16 -> "cast_f16";
            case F8_E4M3 -> "cast_e4m3fn";
            default -> "cast_e5m2";
          };
      ScalarFloats.reader(type).read(tables.data(name), 0, expected, input.length);
      for (FloatWriter writer : new FloatWriter[] {writer(type, true), writer(type, false)}) {
        MemorySegment written = MemorySegment.ofArray(new byte[2 * input.length]);
        writer.write(input, input.length, written, 0);
        float[] found = new float[input.length];
        ScalarFloats.reader(type).read(written, 0, found, input.length);
        assertArrayEquals(canonicalBits(expected), canonicalBits(found));
      }
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"BF16", "F16"})
  void all16BitNumbersReadAndWriteBack(DType type) {
    byte[] bytes = new byte[1 << 17];
    MemorySegment source = MemorySegment.ofArray(bytes);
    for (int code = 0; code < 1 << 16; code++) {
      source.set(LittleEndian.SHORT, 2L * code, (short) code);
    }
    for (boolean vector : new boolean[] {false, true}) {
      float[] found = new float[1 << 16];
      reader(type, vector).read(source, 0, found, found.length);
      MemorySegment back = MemorySegment.ofArray(new byte[1 << 17]);
      writer(type, vector).write(found, found.length, back, 0);
      for (int code = 0; code < 1 << 16; code++) {
        float expected =
            type == DType.BF16
                ? Float.intBitsToFloat(code << 16)
                : Float.float16ToFloat((short) code);
        assertEquals(expected, found[code], "code " + code);
        if (!Float.isNaN(expected)) {
          assertEquals((short) code, back.get(LittleEndian.SHORT, 2L * code), "code " + code);
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16", "F16", "F8_E4M3", "F8_E5M2"})
  void vectorWritesTheBytesOfScalar(DType type) {
    long seed = 20260101L + type.bits();
    Random random = new Random(seed);
    for (int round = 0; round < 300; round++) {
      float[] values = hardNumbers(random, 1 + random.nextInt(200));
      int size = type.bits() / 8;
      byte[] scalar = new byte[(values.length + 2 * GUARD) * size];
      byte[] vector = new byte[scalar.length];
      writer(type, false).write(values, values.length, MemorySegment.ofArray(scalar), GUARD);
      writer(type, true).write(values, values.length, MemorySegment.ofArray(vector), GUARD);
      assertArrayEquals(scalar, vector, "seed " + seed + " round " + round);
      float[] a = new float[values.length];
      float[] b = new float[values.length];
      reader(type, false).read(MemorySegment.ofArray(scalar), GUARD, a, a.length);
      reader(type, true).read(MemorySegment.ofArray(scalar), GUARD, b, b.length);
      assertArrayEquals(canonicalBits(a), canonicalBits(b), "seed " + seed + " round " + round);
    }
  }

  /// NaN, infinities and what saturates among them.
  @ParameterizedTest
  @EnumSource(names = {"F8_E4M3", "F8_E5M2"})
  void everyBf16NumberBecomesTheSameFp8(DType type) {
    float[] values = new float[1 << 16];
    for (int code = 0; code < values.length; code++) {
      values[code] = Float.intBitsToFloat(code << 16);
    }
    byte[] scalar = new byte[values.length];
    byte[] vector = new byte[values.length];
    writer(type, false).write(values, values.length, MemorySegment.ofArray(scalar), 0);
    writer(type, true).write(values, values.length, MemorySegment.ofArray(vector), 0);
    assertArrayEquals(scalar, vector);
  }

  @Test
  void writesRoundToNearestEven() {
    long seed = 77;
    Random random = new Random(seed);
    for (int i = 0; i < 200_000; i++) {
      float value = hardNumbers(random, 1)[0];
      if (!Float.isNaN(value)) {
        assertEquals(Float.floatToFloat16(value), ScalarFloats.toF16(value), "seed " + seed);
        assertEquals(nearestBf16(value), ScalarFloats.toBf16(value), "seed " + seed + " " + value);
      }
    }
  }

  /// By trying every number of the type: an oracle that shares no trick with the code.
  @ParameterizedTest
  @EnumSource(names = {"F8_E4M3", "F8_E5M2"})
  void fp8WritesAreNearest(DType type) {
    float[] numbers = new float[128];
    byte[] codes = new byte[128];
    for (int i = 0; i < 128; i++) {
      codes[i] = (byte) i;
    }
    ScalarFloats.reader(type).read(MemorySegment.ofArray(codes), 0, numbers, 128);
    long seed = 99;
    Random random = new Random(seed);
    for (int i = 0; i < 20_000; i++) {
      float value = Math.abs(hardNumbers(random, 1)[0]);
      if (!(value <= (type == DType.F8_E4M3 ? 448 : 57344))) {
        continue;
      }
      int best = 0;
      for (int code = 1; code < 128 && Float.isFinite(numbers[code]); code++) {
        double gain =
            Math.abs((double) value - numbers[best]) - Math.abs((double) value - numbers[code]);
        best = gain > 0 || (gain == 0 && code % 2 == 0) ? code : best;
      }
      byte found = type == DType.F8_E4M3 ? ScalarFloats.toE4m3(value) : ScalarFloats.toE5m2(value);
      assertEquals(best, found, "seed " + seed + ": " + value);
    }
  }

  @Test
  void f64RoundsOnceAndReadsUnalignedNativeMemory() {
    double[] values = {1.0 + 0x1p-24, 1.0 + 0x1p-24 + 0x1p-40, 1e300, -1e-300, Double.NaN, 0.1};
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment source = arena.allocate(8L * values.length + 1).asSlice(1);
      for (int i = 0; i < values.length; i++) {
        source.set(LittleEndian.DOUBLE, 8L * i, values[i]);
      }
      float[] found = new float[values.length];
      FloatReader.of(DType.F64).read(source, 0, found, found.length);
      assertArrayEquals(
          new float[] {1f, Math.nextUp(1f), Float.POSITIVE_INFINITY, -0f, Float.NaN, 0.1f}, found);
    }
  }

  @Test
  void otherTypesAreRefused() {
    assertThrows(IllegalArgumentException.class, () -> FloatReader.of(DType.I8));
    assertThrows(IllegalArgumentException.class, () -> FloatWriter.of(DType.F8_E8M0));
    assertThrows(IllegalArgumentException.class, () -> ScalarFloats.reader(DType.I64));
  }

  private static FloatReader reader(DType type, boolean vector) {
    return vector ? VectorFloats.reader(type) : ScalarFloats.reader(type);
  }

  private static FloatWriter writer(DType type, boolean vector) {
    return vector ? VectorFloats.writer(type) : ScalarFloats.writer(type);
  }

  /// Random bit patterns of all kinds: any float, ordinary weights, denormals, ties of the 16-bit
  /// types and their neighbours, zeros, infinities, NaNs.
  static float[] hardNumbers(Random random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      int sign = random.nextInt() & 0x80000000;
      int bits =
          switch (random.nextInt(9)) {
            case 0 -> random.nextInt();
            case 1 -> Float.floatToRawIntBits((float) random.nextGaussian() * 0.02f);
            case 2 -> sign | random.nextInt(1 << 23);
            case 3 -> ((random.nextInt() & 0xffff0000) | 0x8000) + random.nextInt(3) - 1;
            case 4 ->
                (sign
                        | ((102 + random.nextInt(42)) << 23)
                        | (random.nextInt(1 << 10) << 13)
                        | 0x1000)
                    + random.nextInt(3)
                    - 1;
            case 5 -> sign | Float.floatToRawIntBits((random.nextInt(2048) + 0.5f) * 0x1p-24f);
            case 6 -> sign;
            // Ties of the 8-bit types and their neighbours.
            case 7 ->
                (sign
                        | ((108 + random.nextInt(38)) << 23)
                        | (random.nextInt(16) << 19)
                        | 0x40000 << random.nextInt(3))
                    + random.nextInt(3)
                    - 1;
            default -> sign | 0x7f800000 | (random.nextBoolean() ? 0 : random.nextInt(1 << 23));
          };
      values[i] = Float.intBitsToFloat(bits);
    }
    return values;
  }

  /// By trying both neighbours: an oracle that shares no trick with the code.
  private static short nearestBf16(float value) {
    int bits = Float.floatToRawIntBits(value);
    short down = (short) (bits >>> 16);
    if (Float.isInfinite(value) || (bits & 0xffff) == 0) {
      return down;
    }
    double low = Float.intBitsToFloat(bits & 0xffff0000);
    double high = Float.intBitsToFloat((bits & 0xffff0000) + 0x10000);
    if (Double.isInfinite(high)) {
      high = Math.copySign(0x1p128, value);
    }
    double below = Math.abs(value - low);
    double above = Math.abs(high - value);
    boolean up = above < below || (above == below && (down & 1) != 0);
    return up ? (short) (down + 1) : down;
  }

  private static int[] canonicalBits(float[] values) {
    int[] bits = new int[values.length];
    for (int i = 0; i < values.length; i++) {
      bits[i] = Float.floatToIntBits(values[i]);
    }
    return bits;
  }
}
