package dev.nibble.formats.internal.simd;

/// The 16 values of ggml's non-linear 4-bit types, IQ4_NL and IQ4_XS, and the way from a number to
/// the nearest of them.
///
/// ggml compares the distances to the two neighbours, the upper one winning a tie; both distances
/// are exact near the middle, so that comparing with the middle is the same.
public final class Iq4Table {
  private static final int[] VALUES = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
  };

  private static final float[] FLOATS = new float[VALUES.length];

  /// Middle between value `i` and the next.
  private static final float[] MIDDLES = new float[VALUES.length - 1];

  static {
    for (int i = 0; i < VALUES.length; i++) {
      FLOATS[i] = VALUES[i];
    }
    for (int i = 0; i < MIDDLES.length; i++) {
      MIDDLES[i] = (FLOATS[i] + FLOATS[i + 1]) / 2;
    }
  }

  private Iq4Table() {}

  /// The value of a code.
  public static float value(int code) {
    return FLOATS[code];
  }

  /// The code of the nearest value; NaN takes the last.
  public static int nearest(float x) {
    int code = x < MIDDLES[7] ? 0 : 8;
    code += x < MIDDLES[code + 3] ? 0 : 4;
    code += x < MIDDLES[code + 1] ? 0 : 2;
    return code + (x < MIDDLES[code] ? 0 : 1);
  }

  static float[] values() {
    return FLOATS.clone();
  }

  static float[] middles() {
    return MIDDLES.clone();
  }
}
