package dev.nibble.runtime.cpu.simd;

/// Functions of one number, in the same steps as {@link VectorMath}.
@SuppressWarnings("FloatingPointLiteralPrecision") // coefficients as their source prints them
final class ScalarMath {
  static final float LOG2E = 1.44269504f;

  /// ln 2 in two parts, of which the first has few bits.
  static final float LN2_HIGH = 0.693359375f;

  static final float LN2_LOW = -2.12194440e-4f;

  /// Adding it rounds to a whole number, which then is in the low bits.
  static final float ROUND = 0x1.8p23f;

  static final float SMALLEST = -87.3f;
  static final float LARGEST = 88.3f;

  static final float E0 = 1.9875691500e-4f;
  static final float E1 = 1.3981999507e-3f;
  static final float E2 = 8.3334519073e-3f;
  static final float E3 = 4.1665795894e-2f;
  static final float E4 = 1.6666665459e-1f;
  static final float E5 = 5.0000001201e-1f;

  static final float T0 = -5.70498872745e-3f;
  static final float T1 = 2.06390887954e-2f;
  static final float T2 = -5.37397155531e-2f;
  static final float T3 = 1.33314422036e-1f;
  static final float T4 = -3.33332819422e-1f;
  static final float TANH_SMALL = 0.625f;

  static final float GELU_LINEAR = 1.5957691216057308f; // 2 sqrt(2/π)
  static final float GELU_CUBIC = 0.07135481282636f; // the same · 0.044715

  private ScalarMath() {}

  static float exp(float x) {
    if (x < SMALLEST) {
      return 0;
    }
    float y = x > LARGEST ? LARGEST : x;
    float rounded = Math.fma(y, LOG2E, ROUND);
    float n = rounded - ROUND;
    float r = Math.fma(n, -LN2_LOW, Math.fma(n, -LN2_HIGH, y));
    float p = Math.fma(E0, r, E1);
    p = Math.fma(p, r, E2);
    p = Math.fma(p, r, E3);
    p = Math.fma(p, r, E4);
    p = Math.fma(p, r, E5);
    p = Math.fma(p, r * r, r) + 1;
    return Float.intBitsToFloat(
        Float.floatToRawIntBits(p) + (Float.floatToRawIntBits(rounded) << 23));
  }

  static float silu(float x) {
    return x / (1 + exp(-x));
  }

  static float gelu(float x) {
    float u = x * Math.fma(x * x, GELU_CUBIC, GELU_LINEAR);
    return x / (1 + exp(-u));
  }

  static float tanh(float x) {
    float magnitude = Math.abs(x);
    if (magnitude < TANH_SMALL) {
      float z = x * x;
      float p = Math.fma(T0, z, T1);
      p = Math.fma(p, z, T2);
      p = Math.fma(p, z, T3);
      p = Math.fma(p, z, T4);
      return Math.fma(p * z, x, x);
    }
    return Math.copySign(1 - 2 / (exp(magnitude + magnitude) + 1), x);
  }
}
