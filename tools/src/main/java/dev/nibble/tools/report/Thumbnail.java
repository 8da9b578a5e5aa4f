package dev.nibble.tools.report;

import dev.nibble.runtime.image.Png;
import dev.nibble.runtime.image.RgbImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Base64;
import java.util.LinkedHashMap;

/// Pictures as they stand in a page: small ones as they are, large ones made smaller, so that the
/// page keeps a size that a browser opens.
public final class Thumbnail {
  /// Of all pictures in a page: some 30 MB.
  private static final long PAGE_PIXELS = 8_000_000;

  private static final long LEAST_PIXELS = 64 * 64;

  private Thumbnail() {}

  /// A picture made small enough for a page.
  ///
  /// @param pictures on the page
  public static RgbImage of(RgbImage image, int pictures) {
    long most = Math.max(LEAST_PIXELS, PAGE_PIXELS / pictures);
    int factor = 1;
    while ((long) Math.ceilDiv(image.width(), factor) * Math.ceilDiv(image.height(), factor)
        > most) {
      factor++;
    }
    return factor == 1 ? image : shrink(image, factor);
  }

  /// The mean of each square of pixels; of what there is of it at the right and bottom.
  private static RgbImage shrink(RgbImage image, int factor) {
    int width = Math.ceilDiv(image.width(), factor);
    int height = Math.ceilDiv(image.height(), factor);
    byte[] rgb = new byte[3 * width * height];
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        for (int channel = 0; channel < 3; channel++) {
          rgb[3 * (y * width + x) + channel] = mean(image, x * factor, y * factor, factor, channel);
        }
      }
    }
    return new RgbImage(width, height, rgb);
  }

  private static byte mean(RgbImage image, int left, int top, int factor, int channel) {
    int right = Math.min(left + factor, image.width());
    int bottom = Math.min(top + factor, image.height());
    long sum = 0;
    for (int y = top; y < bottom; y++) {
      for (int x = left; x < right; x++) {
        sum += image.get(x, y, channel);
      }
    }
    return (byte) Math.round((double) sum / ((right - left) * (bottom - top)));
  }

  /// The picture as a PNG file inside a URI.
  static String dataUri(RgbImage image) throws IOException {
    ByteArrayOutputStream png = new ByteArrayOutputStream();
    Png.write(png, image, new LinkedHashMap<>());
    return "data:image/png;base64," + Base64.getEncoder().encodeToString(png.toByteArray());
  }
}
