package dev.nibble.formats.internal.simd;

/// The values of MXFP4: E2M1 codes, bit 3 the sign, times a power of two. As ggml does, this counts
/// in half units: values are doubled, which makes them integers, and scales halved.
public final class E2m1 {
  private static final int[] DOUBLED = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

  /// Mantissas from here on may have a logarithm that is rounded up to the next integer: at most
  /// the last 44, where the logarithm is largest.
  private static final int CERTAIN = 0x800000 - 128;

  /// Number of middles between neighbouring magnitudes.
  static final int MIDDLES = 7;

  private E2m1() {}

  /// Twice the value of a code.
  public static int doubled(int code) {
    return DOUBLED[code];
  }

  /// Half of `2^(exponent - 127)`.
  ///
  /// @param exponent 0 to 255; 255 is no NaN here
  public static float halfScale(int exponent) {
    return Float.intBitsToFloat(exponent < 2 ? 0x00200000 << exponent : (exponent - 1) << 23);
  }

  /// The exponent for a block of that largest magnitude: `floor(log2(largest)) - 2 + 127`, cut to
  /// eight bits. The logarithm is rounded to float32 first, as `log2f` does, and so are magnitudes
  /// just below a power of two.
  public static int exponent(float largest) {
    if (largest == 0) {
      return 0;
    }
    // Far from the next power of two the exponent is at hand.
    int mantissa = Float.floatToRawIntBits(largest) & 0x7fffff;
    if (largest >= Float.MIN_NORMAL && mantissa < CERTAIN) {
      return (Math.getExponent(largest) - 2 + 127) & 0xff;
    }
    float log = (float) (Math.log(largest) / Math.log(2));
    return ((int) Math.floor(log) - 2 + 127) & 0xff;
  }

  /// The code of the nearest value; of two equally near that of smaller magnitude, 0 for all that
  /// is nearest to zero.
  public static int nearest(float x, float halfScale) {
    int best = 0;
    float least = Math.abs(x);
    for (int code = 1; code < DOUBLED.length; code++) {
      float distance = Math.abs(DOUBLED[code] * halfScale - x);
      if (distance < least) {
        best = code;
        least = distance;
      }
    }
    return best;
  }

  /// Bits of the magnitudes above which the next larger value is nearer. Distances are exact near
  /// them, so comparing with them is comparing distances; a value that overflows is never near.
  static void middles(float halfScale, int[] bits) {
    for (int i = 0; i < MIDDLES; i++) {
      float next = DOUBLED[i + 1] * halfScale;
      float middle = (DOUBLED[i] + DOUBLED[i + 1]) * 0.5f * halfScale;
      bits[i] = Float.isFinite(next) ? Float.floatToRawIntBits(middle) : Integer.MAX_VALUE;
    }
  }

  static float[] doubledValues() {
    float[] values = new float[DOUBLED.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = DOUBLED[i];
    }
    return values;
  }
}
