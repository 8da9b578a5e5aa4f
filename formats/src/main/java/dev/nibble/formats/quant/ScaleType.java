package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import java.lang.foreign.MemorySegment;

/// Scales of 16 or 32 bits, one at a time.
final class ScaleType {
  private ScaleType() {}

  /// @throws IllegalArgumentException unless the type is F32, F16 or BF16
  static void require(DType type) {
    if (type != DType.F32 && type != DType.F16 && type != DType.BF16) {
      throw new IllegalArgumentException(type + " is no type of scales: F32, F16 and BF16 are");
    }
  }

  /// How a scheme's name says the type.
  static String word(DType type) {
    return type.name().toLowerCase(java.util.Locale.ROOT);
  }

  /// The number as the type holds it: rounded to nearest even, infinite if too large.
  static float round(float value, DType type) {
    return switch (type) {
      case F16 -> Float.float16ToFloat(Float.floatToFloat16(value));
      case BF16 -> Float.isNaN(value) ? value : Float.intBitsToFloat(roundBf16(value));
      default -> value;
    };
  }

  /// Float bits, rounded to their upper half.
  private static int roundBf16(float value) {
    int bits = Float.floatToRawIntBits(value);
    return (bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000;
  }

  static float get(MemorySegment scales, long index, DType type) {
    return switch (type) {
      case F16 -> Float.float16ToFloat(scales.get(LittleEndian.SHORT, index * 2));
      case BF16 -> Float.intBitsToFloat(scales.get(LittleEndian.SHORT, index * 2) << 16);
      default -> scales.get(LittleEndian.FLOAT, index * 4);
    };
  }

  /// Stores a number that {@link #round} has given.
  static void set(MemorySegment scales, long index, float value, DType type) {
    float number = Float.isNaN(value) ? Float.NaN : value;
    switch (type) {
      case F16 -> scales.set(LittleEndian.SHORT, index * 2, Float.floatToFloat16(number));
      case BF16 ->
          scales.set(
              LittleEndian.SHORT, index * 2, (short) (Float.floatToRawIntBits(number) >>> 16));
      default -> scales.set(LittleEndian.FLOAT, index * 4, number);
    }
  }
}
