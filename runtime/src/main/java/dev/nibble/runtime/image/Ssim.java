package dev.nibble.runtime.image;

/// Structural similarity, row by row: the five weighted means that a window needs are filtered
/// along rows into a ring of 11 rows, and down the ring from there.
final class Ssim {
  static final int WINDOW = 11;

  private static final double SIGMA = 1.5;
  private static final double C1 = square(0.01 * 255);
  private static final double C2 = square(0.03 * 255);

  /// Means of: a, b, a², b², ab.
  private static final int MEANS = 5;

  private final RgbImage first;
  private final RgbImage second;
  private final double[] weights = weights();

  private Ssim(RgbImage first, RgbImage second) {
    this.first = first;
    this.second = second;
  }

  static double mean(RgbImage first, RgbImage second) {
    if (first.width() < WINDOW || first.height() < WINDOW) {
      throw new IllegalArgumentException(
          "structural similarity needs pictures of at least %d pixels a side, not %dx%d"
              .formatted(WINDOW, first.width(), first.height()));
    }
    Ssim ssim = new Ssim(first, second);
    return (ssim.channel(0) + ssim.channel(1) + ssim.channel(2)) / 3;
  }

  private static double[] weights() {
    double[] weights = new double[WINDOW];
    double sum = 0;
    for (int i = 0; i < WINDOW; i++) {
      weights[i] = Math.exp(-0.5 * square((i - WINDOW / 2) / SIGMA));
      sum += weights[i];
    }
    for (int i = 0; i < WINDOW; i++) {
      weights[i] /= sum;
    }
    return weights;
  }

  private double channel(int channel) {
    int columns = first.width() - WINDOW + 1;
    double[][][] ring = new double[WINDOW][MEANS][columns];
    double[] means = new double[MEANS];
    double sum = 0;
    for (int y = 0; y < first.height(); y++) {
      alongRow(y, channel, ring[y % WINDOW]);
      if (y < WINDOW - 1) {
        continue;
      }
      for (int x = 0; x < columns; x++) {
        for (int mean = 0; mean < MEANS; mean++) {
          means[mean] = down(ring, y - WINDOW + 1, mean, x);
        }
        sum += index(means);
      }
    }
    return sum / ((double) columns * (first.height() - WINDOW + 1));
  }

  private void alongRow(int y, int channel, double[][] means) {
    for (int x = 0; x < means[0].length; x++) {
      double a1 = 0;
      double b1 = 0;
      double aa = 0;
      double bb = 0;
      double ab = 0;
      for (int i = 0; i < WINDOW; i++) {
        int a = first.get(x + i, y, channel);
        int b = second.get(x + i, y, channel);
        a1 += weights[i] * a;
        b1 += weights[i] * b;
        aa += weights[i] * (a * a);
        bb += weights[i] * (b * b);
        ab += weights[i] * (a * b);
      }
      means[0][x] = a1;
      means[1][x] = b1;
      means[2][x] = aa;
      means[3][x] = bb;
      means[4][x] = ab;
    }
  }

  private double down(double[][][] ring, int top, int mean, int x) {
    double sum = 0;
    for (int i = 0; i < WINDOW; i++) {
      sum += weights[i] * ring[(top + i) % WINDOW][mean][x];
    }
    return sum;
  }

  private static double index(double[] means) {
    double a = means[0];
    double b = means[1];
    double varianceA = means[2] - a * a;
    double varianceB = means[3] - b * b;
    double covariance = means[4] - a * b;
    return (2 * a * b + C1)
        * (2 * covariance + C2)
        / ((a * a + b * b + C1) * (varianceA + varianceB + C2));
  }

  private static double square(double x) {
    return x * x;
  }
}
