package dev.nibble.formats.internal.simd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.nibble.formats.DType;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// The vector kernel against its scalar twin.
class Fp8KernelTest {
  private static float largest(DType type) {
    return type == DType.F8_E4M3 ? 448f : 57344f;
  }

  /// Encodes all of `x` but a first element with both twins.
  private static void agree(DType type, float[] x, float scale, String at) {
    byte[] a = new byte[x.length + 9];
    byte[] b = new byte[x.length + 9];
    ErrorSum sumA = new ErrorSum();
    ErrorSum sumB = new ErrorSum();
    new ScalarFp8(type).encode(x, 1, x.length, scale, MemorySegment.ofArray(a), 5, sumA);
    new VectorFp8(type).encode(x, 1, x.length, scale, MemorySegment.ofArray(b), 5, sumB);
    assertArrayEquals(a, b, at);
    sumA.flush();
    sumB.flush();
    assertEquals(sumA.squares(), sumB.squares(), 1e-5 * sumA.squares(), at);
    assertEquals(sumA.errors(), sumB.errors(), 1e-5 * sumA.errors() + 0x1p-149, at);
    assertEquals(sumA.max(), sumB.max(), 1e-5 * sumA.max() + 0x1p-149, at);
  }

  /// Every BF16 number up to what the scale makes infinite, but so that float32 holds the squares.
  @ParameterizedTest
  @EnumSource(names = {"F8_E4M3", "F8_E5M2"})
  void everyBf16NumberWithManyScales(DType type) {
    long seed = 12;
    Random random = new Random(seed);
    for (int round = 0; round < 60; round++) {
      float absmax = (float) Math.exp(random.nextGaussian() * 4);
      float scale =
          switch (round) {
            case 0 -> 1;
            case 1 -> 0;
            case 2 -> 0x1p-60f;
            case 3 -> 0x1.fffffep-10f;
            default -> absmax / largest(type);
          };
      float most = Math.min(type == DType.F8_E4M3 ? 0x1p50f : 61439f * scale, 0x1p50f);
      float[] x = new float[1 + (1 << 16)];
      int count = 1;
      for (int code = 0; code < 1 << 16; code++) {
        float value = Float.intBitsToFloat(code << 16);
        if (Math.abs(value) <= most) {
          x[count++] = value;
        }
      }
      agree(type, Arrays.copyOf(x, count), scale, "seed " + seed + " round " + round);
    }
  }

  /// Ties between neighbouring codes times a scale, and the floats around them; subnormal codes and
  /// subnormal floats among them, and what saturates.
  @ParameterizedTest
  @EnumSource(names = {"F8_E4M3", "F8_E5M2"})
  void tiesAndTheirNeighbours(DType type) {
    float[] values = new float[256];
    byte[] codes = new byte[256];
    for (int i = 0; i < 256; i++) {
      codes[i] = (byte) i;
    }
    ScalarFloats.reader(type).read(MemorySegment.ofArray(codes), 0, values, 256);
    long seed = 13;
    Random random = new Random(seed);
    for (int round = 0; round < 500; round++) {
      float scale = round == 0 ? 1 : (float) Math.exp(random.nextGaussian() * 7);
      float[] x = new float[1 + 2 * 127 * 5];
      int count = 1;
      for (int code = 0; code + 1 < 127 && Float.isFinite(values[code + 1]); code++) {
        float tie = (values[code] + values[code + 1]) / 2 * scale;
        for (int ulps = -2; ulps <= 2; ulps++) {
          float near = Float.intBitsToFloat(Math.max(0, Float.floatToRawIntBits(tie) + ulps));
          x[count++] = near;
          x[count++] = -near;
        }
      }
      agree(type, Arrays.copyOf(x, count), scale, "seed " + seed + " round " + round);
    }
    float[] edges = {
      9f,
      0f,
      -0f,
      Float.MIN_VALUE,
      -Float.MIN_VALUE,
      Float.MIN_NORMAL,
      0x1p-10f,
      -0x1p-10f,
      0x1p-17f,
      0x1.000002p-17f,
      447.9f,
      448f,
      455f,
      456f,
      463.9f,
      464f,
      465f,
      480f,
      -1e9f,
      57344f,
      61439f,
      1e9f
    };
    // E5M2 has an infinity, which the last one would become.
    int finite = type == DType.F8_E4M3 ? edges.length : edges.length - 1;
    edges[edges.length - 4] = type == DType.F8_E4M3 ? -1e9f : -1e4f;
    agree(type, Arrays.copyOf(edges, finite), 1, "edges");
  }

  @Test
  void otherTypesAreRefused() {
    assertThrows(IllegalArgumentException.class, () -> Fp8Kernel.of(DType.F16));
  }
}
