package dev.nibble.runtime;

import dev.nibble.runtime.image.RgbImage;

/// Between pictures of 8 bits and the -1..1 of an autoencoder, as diffusers' `VaeImageProcessor`.
final class Pixels {
  private Pixels() {}

  /// `[height, width, 3]` in about -1..1 to 0..255: clamped, rounded half to even.
  static RgbImage toImage(float[] values, int width, int height) {
    byte[] rgb = new byte[values.length];
    for (int i = 0; i < rgb.length; i++) {
      float unit = Math.clamp(values[i] / 2 + 0.5f, 0f, 1f);
      rgb[i] = (byte) Math.rint(unit * 255);
    }
    return new RgbImage(width, height, rgb);
  }

  /// The way back, `[height, width, 3]` in -1..1.
  static float[] toFloats(RgbImage image) {
    byte[] rgb = image.toBytes();
    float[] values = new float[rgb.length];
    for (int i = 0; i < rgb.length; i++) {
      values[i] = (rgb[i] & 0xFF) / 255f * 2 - 1;
    }
    return values;
  }
}
