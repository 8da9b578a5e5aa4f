package dev.nibble.formats.quant.ggml;

import dev.nibble.formats.internal.simd.GgmlMath;
import java.util.Arrays;

/// ggml's `make_qp_quants`: codes from 0 to `most` for few numbers that are not negative, the
/// scales of a super-block's groups. Of nine scales the one of least weighted squared error is
/// taken, then the codes are improved one by one against the least-squares scale in up to 5 passes.
final class ScaleFit {
  private static final int PASSES = 5;

  private ScaleFit() {}

  /// @param codes receives `count` codes
  /// @return the scale
  static float fit(float[] x, int from, int count, int most, float[] weights, int[] codes) {
    float max = 0;
    for (int i = 0; i < count; i++) {
      max = max > x[from + i] ? max : x[from + i];
    }
    if (max < GgmlMath.LEAST_MAGNITUDE) {
      Arrays.fill(codes, 0, count, 0);
      return 0;
    }
    float inverse = bestInverse(x, from, count, most, max, weights);
    float sumQx = 0;
    float sumQq = 0;
    for (int i = 0; i < count; i++) {
      codes[i] = Math.min(most, GgmlMath.nearest(inverse * x[from + i]));
      float weight = weights[from + i];
      sumQx += weight * x[from + i] * codes[i];
      sumQq += weight * codes[i] * codes[i];
    }
    boolean changed = true;
    for (int pass = 0; pass < PASSES && changed; pass++) {
      changed = false;
      for (int i = 0; i < count; i++) {
        float value = x[from + i];
        float weight = weights[from + i];
        float restQx = sumQx - weight * value * codes[i];
        float restQq = sumQq - weight * codes[i] * codes[i];
        if (restQx > 0 && restQq > 0) {
          int q = Math.min(most, GgmlMath.nearest(value * restQq / restQx));
          if (q != codes[i]) {
            restQx += weight * value * q;
            restQq += weight * q * q;
            if (restQx * restQx * sumQq > sumQx * sumQx * restQq) {
              codes[i] = q;
              sumQx = restQx;
              sumQq = restQq;
              changed = true;
            }
          }
        }
      }
    }
    return sumQq > 0 ? sumQx / sumQq : 0;
  }

  private static float bestInverse(
      float[] x, int from, int count, int most, float max, float[] weights) {
    float best = most / max;
    // The plain scale may give a code above `most` by rounding; the trials may not.
    float bestError = error(x, from, count, Integer.MAX_VALUE, best, weights);
    for (int trial = -4; trial <= 4; trial++) {
      if (trial != 0) {
        float inverse = (0.1f * trial + most) / max;
        float error = error(x, from, count, most, inverse, weights);
        if (error < bestError) {
          bestError = error;
          best = inverse;
        }
      }
    }
    return best;
  }

  private static float error(
      float[] x, int from, int count, int most, float inverse, float[] weights) {
    float scale = 1 / inverse;
    float sum = 0;
    for (int i = 0; i < count; i++) {
      int q = Math.min(most, GgmlMath.nearest(inverse * x[from + i]));
      float difference = x[from + i] - scale * q;
      sum += weights[from + i] * difference * difference;
    }
    return sum;
  }
}
