package dev.nibble.runtime.image;

/// The filters of PNG, which turn pixels into differences that compress better (PNG specification,
/// section 9): for each row the one whose bytes, taken as signed, have the least sum of absolute
/// values, as the specification advises.
final class PngFilter {
  private static final int PIXEL_BYTES = 3;
  private static final int FILTERS = 5;

  private PngFilter() {}

  /// Every row of a picture, each behind the number of its filter: `height * (1 + 3 * width)`.
  static byte[] apply(RgbImage image) {
    byte[] pixels = image.toBytes();
    int rowBytes = PIXEL_BYTES * image.width();
    byte[] filtered = new byte[Math.multiplyExact(image.height(), 1 + rowBytes)];
    byte[] candidate = new byte[rowBytes];
    for (int y = 0; y < image.height(); y++) {
      int target = y * (1 + rowBytes);
      long least = Long.MAX_VALUE;
      for (int filter = 0; filter < FILTERS; filter++) {
        long sum = 0;
        for (int i = 0; i < rowBytes; i++) {
          candidate[i] = difference(pixels, y, i, rowBytes, filter);
          sum += Math.abs(candidate[i]);
        }
        if (sum < least) {
          least = sum;
          filtered[target] = (byte) filter;
          System.arraycopy(candidate, 0, filtered, target + 1, rowBytes);
        }
      }
    }
    return filtered;
  }

  private static byte difference(byte[] pixels, int y, int i, int rowBytes, int filter) {
    int at = y * rowBytes + i;
    int left = i < PIXEL_BYTES ? 0 : pixels[at - PIXEL_BYTES] & 0xFF;
    int up = y == 0 ? 0 : pixels[at - rowBytes] & 0xFF;
    int upLeft = i < PIXEL_BYTES || y == 0 ? 0 : pixels[at - rowBytes - PIXEL_BYTES] & 0xFF;
    int prediction =
        switch (filter) {
          case 1 -> left;
          case 2 -> up;
          case 3 -> (left + up) / 2;
          case 4 -> paeth(left, up, upLeft);
          default -> 0;
        };
    return (byte) (pixels[at] - prediction);
  }

  /// The neighbour nearest to `left + up - upLeft`.
  private static int paeth(int left, int up, int upLeft) {
    int toLeft = Math.abs(up - upLeft);
    int toUp = Math.abs(left - upLeft);
    int toUpLeft = Math.abs(left + up - 2 * upLeft);
    if (toLeft <= toUp && toLeft <= toUpLeft) {
      return left;
    }
    return toUp <= toUpLeft ? up : upLeft;
  }
}
