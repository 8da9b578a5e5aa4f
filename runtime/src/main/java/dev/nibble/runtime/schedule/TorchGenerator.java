package dev.nibble.runtime.schedule;

import java.util.OptionalDouble;

/// Standard normal numbers as torch's generator on the CPU makes them, so that a seed gives the
/// same picture here and there. Not thread-safe: each request has its own.
///
/// The rule, after ATen's `CPUGeneratorImpl` and `DistributionTemplates.h` and checked against
/// torch 2.13:
///
/// - The words are those of MT19937 (Matsumoto and Nishimura, 1998), 32 bits each. Only the low 32
///   bits of the seed count.
/// - A draw of n numbers, over all axes of a contiguous tensor, with n of 16 or more: first n
///   uniforms, one word each, `u = (word & 0xFFFFFF) · 2^-24`. Then each group of 16 that begins at
///   a multiple of 16 becomes, for j in 0..7, `x[j] = r cos t` and `x[j + 8] = r sin t`, where `r =
///   sqrt(-2 ln(1 - u[j]))` and `t = 2π u[j + 8]`, both rounded to float32. If n isn't a multiple
///   of 16, 16 more uniforms are drawn and the last 16 numbers are overwritten by their group.
/// - A draw of less than 16 makes pairs in double precision (Box and Muller, 1958). A word of 64
///   bits is `first word · 2^32 + second`, `u = (word & (2^53 - 1)) · 2^-53`. Of `u1` and then
///   `u2`: `r = sqrt(-2 ln(1 - u2))`, `t = 2π u1`. The first number is `r cos t`; `r sin t` is kept
///   for the next one that is asked for in this way, be it in a later draw.
///
/// Numbers agree to 1e-6: torch's vectorized logarithm, sine and cosine differ in the last bits.
public final class TorchGenerator {
  private static final int GROUP = 16;
  private static final int HALF = GROUP / 2;
  private static final float TWO_PI = (float) (2 * Math.PI);

  private final MersenneTwister words;
  private OptionalDouble kept = OptionalDouble.empty();

  /// As `torch.Generator("cpu").manual_seed(seed)`.
  public TorchGenerator(long seed) {
    words = new MersenneTwister((int) seed);
  }

  /// As `torch.randn(count)` in float32. One draw of n numbers isn't the same as two of n/2.
  public float[] normal(int count) {
    float[] values = new float[count];
    if (count < GROUP) {
      for (int i = 0; i < count; i++) {
        values[i] = (float) nextPaired();
      }
      return values;
    }
    uniforms(values, 0, count);
    for (int i = 0; i + GROUP <= count; i += GROUP) {
      boxMuller(values, i);
    }
    if (count % GROUP != 0) {
      uniforms(values, count - GROUP, count);
      boxMuller(values, count - GROUP);
    }
    return values;
  }

  private void uniforms(float[] values, int begin, int end) {
    for (int i = begin; i < end; i++) {
      values[i] = (words.next() & 0xFFFFFF) * 0x1p-24f;
    }
  }

  private static void boxMuller(float[] values, int begin) {
    for (int j = begin; j < begin + HALF; j++) {
      float radius = (float) Math.sqrt(-2 * (float) Math.log(1 - values[j]));
      float angle = TWO_PI * values[j + HALF];
      values[j] = radius * (float) Math.cos(angle);
      values[j + HALF] = radius * (float) Math.sin(angle);
    }
  }

  private double nextPaired() {
    if (kept.isPresent()) {
      double value = kept.getAsDouble();
      kept = OptionalDouble.empty();
      return value;
    }
    double angle = 2 * Math.PI * nextDouble();
    double radius = Math.sqrt(-2 * Math.log1p(-nextDouble()));
    kept = OptionalDouble.of(radius * Math.sin(angle));
    return radius * Math.cos(angle);
  }

  private double nextDouble() {
    long high = Integer.toUnsignedLong(words.next());
    long word = (high << 32) | Integer.toUnsignedLong(words.next());
    return (word & ((1L << 53) - 1)) * 0x1p-53;
  }
}
