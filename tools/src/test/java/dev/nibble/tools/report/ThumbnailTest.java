package dev.nibble.tools.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.runtime.image.RgbImage;
import org.junit.jupiter.api.Test;

class ThumbnailTest {
  @Test
  void smallPicturesStayAsTheyAre() {
    RgbImage image = new RgbImage(64, 64, new byte[3 * 64 * 64]);
    assertSame(image, Thumbnail.of(image, 1_000_000));
    RgbImage large = new RgbImage(1024, 1024, new byte[3 * 1024 * 1024]);
    assertSame(large, Thumbnail.of(large, 4));
  }

  @Test
  void manyLargePicturesShareThePage() {
    RgbImage large = new RgbImage(1024, 768, new byte[3 * 1024 * 768]);
    RgbImage small = Thumbnail.of(large, 200);
    assertTrue(200L * small.width() * small.height() <= 8_000_000, small.width() + " wide");
    assertTrue(small.width() > 150, small.width() + " wide");
    assertEquals(4.0 / 3, (double) small.width() / small.height(), 0.02);
  }

  @Test
  void pixelsAreMeans() {
    int side = 129; // shrunk to 43 of 3x3 each, as 4096 pixels are the most
    byte[] rgb = new byte[3 * side * side];
    rgb[0] = 90; // red of the first pixel
    rgb[3 * (side * side - 1) + 1] = (byte) 200; // green of the last
    RgbImage small = Thumbnail.of(new RgbImage(side, side, rgb), 1_000_000);
    assertEquals(43, small.width());
    assertEquals(10, small.get(0, 0, 0));
    assertEquals(22, small.get(42, 42, 1));
    assertEquals(0, small.get(1, 0, 0));
  }

  @Test
  void edgesAreMeansOfWhatIsThere() {
    int side = 128; // 43 columns of 3, the last of 2
    byte[] rgb = new byte[3 * side * side];
    rgb[3 * (side * side - 1)] = 100;
    RgbImage small = Thumbnail.of(new RgbImage(side, side, rgb), 1_000_000);
    // 64 x 64 = 4096 pixels are just allowed: a factor of 2
    assertEquals(64, small.width());
    assertEquals(25, small.get(63, 63, 0));
    RgbImage odd = Thumbnail.of(new RgbImage(131, 131, edge()), 1_000_000);
    assertEquals(44, odd.width()); // 43 columns of 3 and one of 2
    assertEquals(30, odd.get(43, 43, 2));
  }

  private static byte[] edge() {
    byte[] rgb = new byte[3 * 131 * 131];
    rgb[rgb.length - 1] = 120;
    return rgb;
  }
}
