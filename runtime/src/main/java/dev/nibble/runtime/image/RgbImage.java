package dev.nibble.runtime.image;

/// A picture of 8 bits a channel. Immutable.
public final class RgbImage {
  private final int width;
  private final int height;
  private final byte[] rgb;

  /// @param rgb red, green and blue of each pixel, row by row from the top; copied
  public RgbImage(int width, int height, byte[] rgb) {
    if (rgb.length != Math.multiplyExact(3, Math.multiplyExact(width, height))) {
      throw new IllegalArgumentException(
          "%d bytes for a picture of %dx%d".formatted(rgb.length, width, height));
    }
    this.width = width;
    this.height = height;
    this.rgb = rgb.clone();
  }

  /// Width in pixels.
  public int width() {
    return width;
  }

  /// Height in pixels.
  public int height() {
    return height;
  }

  /// A channel of a pixel, 0 to 255.
  ///
  /// @param channel 0 red, 1 green, 2 blue
  public int get(int x, int y, int channel) {
    return rgb[3 * (y * width + x) + channel] & 0xFF;
  }

  /// Red, green and blue of each pixel, row by row, in a new array.
  public byte[] toBytes() {
    return rgb.clone();
  }
}
