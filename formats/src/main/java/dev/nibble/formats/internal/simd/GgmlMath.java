package dev.nibble.formats.internal.simd;

/// Arithmetic that ggml's quantizers share, with what plain C on x86-64 makes of numbers that no
/// sensible block holds: bytes must be equal there, too. Sums and products are rounded one by one,
/// never fused.
public final class GgmlMath {
  /// Groups whose largest magnitude lies below count as zeros.
  public static final float LEAST_MAGNITUDE = 1e-15f;

  static final float WHOLE = 12_582_912f;
  static final int WHOLE_MASK = 0x007fffff;
  static final int WHOLE_ZERO = 0x00400000;

  /// The largest float below one half: added away from zero, truncation then rounds half away from
  /// zero, and exactly so.
  static final float BELOW_HALF = 0.49999997f;

  private GgmlMath() {}

  /// Rounds to the nearest integer, ties to even, by adding 1.5 * 2^23 and taking the mantissa:
  /// right up to magnitudes of 2^22, and the same remains of larger ones as in ggml.
  public static int nearest(float value) {
    return (Float.floatToRawIntBits(value + WHOLE) & WHOLE_MASK) - WHOLE_ZERO;
  }

  /// Truncates to an integer; what doesn't fit, and NaN, becomes the least integer.
  public static int truncate(float value) {
    return value >= -0x1p31f && value < 0x1p31f ? (int) value : Integer.MIN_VALUE;
  }

  /// Rounds half away from zero, then as {@link #truncate}.
  public static int round(float value) {
    return truncate(value + Math.copySign(BELOW_HALF, value));
  }

  /// Brings `value` into `[low, high]`.
  static int clamp(int value, int low, int high) {
    return Math.max(low, Math.min(high, value));
  }

  /// The first number of largest magnitude, 0 if all are 0.
  public static float extreme(float[] x, int from, int count) {
    float most = 0;
    float extreme = 0;
    for (int i = from; i < from + count; i++) {
      float magnitude = Math.abs(x[i]);
      if (magnitude > most) {
        most = magnitude;
        extreme = x[i];
      }
    }
    return extreme;
  }

  /// Sum of squares in order of index.
  public static float sumSquares(float[] x, int from, int count) {
    float sum = 0;
    for (int i = from; i < from + count; i++) {
      sum += x[i] * x[i];
    }
    return sum;
  }
}
