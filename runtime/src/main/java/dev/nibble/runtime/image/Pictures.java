package dev.nibble.runtime.image;

import dev.nibble.formats.NibbleException;
import dev.nibble.formats.io.IoErrors;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.imageio.ImageIO;
import javax.imageio.stream.MemoryCacheImageInputStream;

/// Reads pictures that others wrote.
public final class Pictures {
  private static final int WHITE = 255;

  private Pictures() {}

  /// Reads a PNG or JPEG file. What is transparent is laid on white; 16-bit channels lose their
  /// lower half.
  ///
  /// @throws NibbleException if the file is damaged or no picture: names it
  /// @throws IOException if it can't be read; the message names it
  public static RgbImage read(Path file) throws IOException {
    byte[] bytes;
    try {
      bytes = Files.readAllBytes(file);
    } catch (IOException e) {
      throw IoErrors.at(file, e);
    }
    try {
      // Closes the stream; not from the file itself, for Java would copy that to a temporary one.
      BufferedImage image =
          ImageIO.read(new MemoryCacheImageInputStream(new ByteArrayInputStream(bytes)));
      if (image != null) {
        return onWhite(image);
      }
    } catch (IOException | RuntimeException e) { // damaged files make the reader throw of both
      throw new NibbleException(
          "%s: the picture is damaged (%s): save it as PNG again".formatted(file, e.getMessage()),
          e);
    }
    throw new NibbleException(file + ": is no PNG or JPEG picture: convert it to PNG first");
  }

  private static RgbImage onWhite(BufferedImage image) {
    int width = image.getWidth();
    int height = image.getHeight();
    byte[] rgb = new byte[Math.multiplyExact(3, Math.multiplyExact(width, height))];
    int[] row = new int[width];
    int at = 0;
    for (int y = 0; y < height; y++) {
      image.getRGB(0, y, width, 1, row, 0, width);
      for (int pixel : row) {
        int alpha = pixel >>> 24;
        rgb[at++] = blend(pixel >>> 16, alpha);
        rgb[at++] = blend(pixel >>> 8, alpha);
        rgb[at++] = blend(pixel, alpha);
      }
    }
    return new RgbImage(width, height, rgb);
  }

  private static byte blend(int channel, int alpha) {
    return (byte) Math.round(((channel & 0xFF) * alpha + WHITE * (255 - alpha)) / 255f);
  }
}
