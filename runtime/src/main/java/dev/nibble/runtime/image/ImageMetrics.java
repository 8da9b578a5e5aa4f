package dev.nibble.runtime.image;

/// How near two pictures are.
public final class ImageMetrics {
  private static final double PEAK = 255;

  private ImageMetrics() {}

  /// Peak signal to noise ratio in decibels: `10 log10(255² / MSE)`, the mean over all pixels and
  /// channels; infinite for equal pictures.
  ///
  /// @throws IllegalArgumentException if the sizes differ
  public static double psnr(RgbImage first, RgbImage second) {
    requireSameSize(first, second);
    byte[] a = first.toBytes();
    byte[] b = second.toBytes();
    long sum = 0;
    for (int i = 0; i < a.length; i++) {
      int difference = (a[i] & 0xFF) - (b[i] & 0xFF);
      sum += (long) difference * difference;
    }
    return sum == 0
        ? Double.POSITIVE_INFINITY
        : 10 * Math.log10(PEAK * PEAK / ((double) sum / a.length));
  }

  /// Structural similarity, 1 for equal pictures: Wang, Bovik, Sheikh and Simoncelli, "Image
  /// quality assessment", IEEE Transactions on Image Processing 13 (2004), with their window
  /// (gaussian of 11x11, sigma 1.5), K1 = 0.01, K2 = 0.03; the mean over every window that lies in
  /// the picture, and over the channels. The same as scikit-image's
  /// `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
  /// channel_axis=-1, data_range=255)`.
  ///
  /// @throws IllegalArgumentException if the sizes differ, or a side is below 11 pixels
  public static double ssim(RgbImage first, RgbImage second) {
    requireSameSize(first, second);
    return Ssim.mean(first, second);
  }

  private static void requireSameSize(RgbImage first, RgbImage second) {
    if (first.width() != second.width() || first.height() != second.height()) {
      throw new IllegalArgumentException(
          "pictures of %dx%d and %dx%d have nothing to compare"
              .formatted(first.width(), first.height(), second.width(), second.height()));
    }
  }
}
