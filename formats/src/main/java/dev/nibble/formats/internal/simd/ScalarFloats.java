package dev.nibble.formats.internal.simd;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import java.lang.foreign.MemorySegment;

/// Conversions one number at a time: the reference for {@link VectorFloats}, its tails, and what
/// runs where the Vector API doesn't.
final class ScalarFloats {
  private static final int INFINITY = 0x7f800000;
  private static final float[] E4M3 = e4m3Values();
  private static final float[] E5M2 = e5m2Values();

  private ScalarFloats() {}

  static FloatReader reader(DType type) {
    return switch (type) {
      case F32 -> ScalarFloats::readF32;
      case F64 -> ScalarFloats::readF64;
      case BF16 -> (source, first, target, count) -> readBf16(source, first, target, 0, count);
      case F16 -> (source, first, target, count) -> readF16(source, first, target, 0, count);
      case F8_E4M3 -> (source, first, target, count) -> readE4m3(source, first, target, 0, count);
      case F8_E5M2 -> (source, first, target, count) -> readE5m2(source, first, target, 0, count);
      default -> throw new IllegalArgumentException(type + " is not a float that nibble reads");
    };
  }

  static FloatWriter writer(DType type) {
    return switch (type) {
      case F32 -> ScalarFloats::writeF32;
      case BF16 -> (source, count, target, first) -> writeBf16(source, 0, count, target, first);
      case F16 -> (source, count, target, first) -> writeF16(source, 0, count, target, first);
      case F8_E4M3 -> (source, count, target, first) -> writeE4m3(source, 0, count, target, first);
      case F8_E5M2 -> (source, count, target, first) -> writeE5m2(source, 0, count, target, first);
      default -> throw new IllegalArgumentException(type + " is not a float that nibble writes");
    };
  }

  static void readF32(MemorySegment source, long first, float[] target, int count) {
    MemorySegment.copy(source, LittleEndian.FLOAT, first * 4, target, 0, count);
  }

  static void readF64(MemorySegment source, long first, float[] target, int count) {
    for (int i = 0; i < count; i++) {
      target[i] = (float) source.get(LittleEndian.DOUBLE, (first + i) * 8);
    }
  }

  /// Reads elements `first + from` up to `first + to` into `target[from..to)`.
  static void readBf16(MemorySegment source, long first, float[] target, int from, int to) {
    for (int i = from; i < to; i++) {
      target[i] = Float.intBitsToFloat(source.get(LittleEndian.SHORT, (first + i) * 2) << 16);
    }
  }

  static void readF16(MemorySegment source, long first, float[] target, int from, int to) {
    for (int i = from; i < to; i++) {
      target[i] = Float.float16ToFloat(source.get(LittleEndian.SHORT, (first + i) * 2));
    }
  }

  static void readE4m3(MemorySegment source, long first, float[] target, int from, int to) {
    readF8(E4M3, source, first, target, from, to);
  }

  static void readE5m2(MemorySegment source, long first, float[] target, int from, int to) {
    readF8(E5M2, source, first, target, from, to);
  }

  private static void readF8(
      float[] values, MemorySegment source, long first, float[] target, int from, int to) {
    for (int i = from; i < to; i++) {
      target[i] = values[Byte.toUnsignedInt(source.get(JAVA_BYTE, first + i))];
    }
  }

  static void writeF32(float[] source, int count, MemorySegment target, long first) {
    MemorySegment.copy(source, 0, target, LittleEndian.FLOAT, first * 4, count);
  }

  static void writeBf16(float[] source, int from, int to, MemorySegment target, long first) {
    for (int i = from; i < to; i++) {
      target.set(LittleEndian.SHORT, (first + i) * 2, toBf16(source[i]));
    }
  }

  static void writeF16(float[] source, int from, int to, MemorySegment target, long first) {
    for (int i = from; i < to; i++) {
      target.set(LittleEndian.SHORT, (first + i) * 2, toF16(source[i]));
    }
  }

  static void writeE4m3(float[] source, int from, int to, MemorySegment target, long first) {
    for (int i = from; i < to; i++) {
      target.set(JAVA_BYTE, first + i, toE4m3(source[i]));
    }
  }

  static void writeE5m2(float[] source, int from, int to, MemorySegment target, long first) {
    for (int i = from; i < to; i++) {
      target.set(JAVA_BYTE, first + i, toE5m2(source[i]));
    }
  }

  /// As torch casts: saturates at 448, where older versions gave NaN.
  static byte toE4m3(float value) {
    int bits = Float.floatToRawIntBits(value);
    int magnitude = bits & 0x7fffffff;
    int code;
    if (magnitude > INFINITY) {
      code = 0x7f;
    } else if (magnitude < 121 << 23) {
      // Below 2^-6 the step is 2^-9, which is that of float32 at 2^14: the adder rounds.
      float small = Float.intBitsToFloat(magnitude) + 0x1p14f;
      code = Float.floatToRawIntBits(small) - (141 << 23);
    } else {
      // Rounds at bit 20 by adding one less than half a step, and one more where the kept part is
      // odd; a carry out of the mantissa is the next exponent.
      int rounded = (magnitude + 0x7ffff + ((magnitude >>> 20) & 1)) >>> 20;
      code = Math.min(rounded - (120 << 3), 0x7e);
    }
    return (byte) (((bits >>> 24) & 0x80) | code);
  }

  /// As torch casts: from 61440 on infinite.
  static byte toE5m2(float value) {
    int bits = Float.floatToRawIntBits(value);
    int magnitude = bits & 0x7fffffff;
    int code;
    if (magnitude > INFINITY) {
      code = 0x7f;
    } else if (magnitude < 113 << 23) {
      float small = Float.intBitsToFloat(magnitude) + 0x1p7f;
      code = Float.floatToRawIntBits(small) - (134 << 23);
    } else {
      int rounded = (magnitude + 0xfffff + ((magnitude >>> 21) & 1)) >>> 21;
      code = Math.min(rounded - (112 << 2), 0x7c);
    }
    return (byte) (((bits >>> 24) & 0x80) | code);
  }

  static short toBf16(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (Float.isNaN(value)) {
      return (short) ((bits >>> 16) | 0x40);
    }
    return (short) ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
  }

  /// {@link Float#floatToFloat16}, but with the same NaN interpreted and compiled.
  static short toF16(float value) {
    if (Float.isNaN(value)) {
      int bits = Float.floatToRawIntBits(value);
      return (short) (((bits >>> 16) & 0x8000) | 0x7e00 | ((bits >>> 13) & 0x3ff));
    }
    return Float.floatToFloat16(value);
  }

  /// 1 sign, 4 exponent (bias 7), 3 mantissa bits; no infinity, all ones is NaN.
  private static float[] e4m3Values() {
    float[] values = new float[256];
    for (int code = 0; code < 256; code++) {
      int exponent = (code >> 3) & 15;
      int mantissa = code & 7;
      float magnitude =
          exponent == 0 ? mantissa * 0x1p-9f : (8 + mantissa) * Math.scalb(1f, exponent - 10);
      float value = (code & 0x7f) == 0x7f ? Float.NaN : magnitude;
      values[code] = code < 128 ? value : -value;
    }
    return values;
  }

  /// 1 sign, 5 exponent, 2 mantissa bits: the upper byte of an F16.
  private static float[] e5m2Values() {
    float[] values = new float[256];
    for (int code = 0; code < 256; code++) {
      values[code] = Float.float16ToFloat((short) (code << 8));
    }
    return values;
  }
}
