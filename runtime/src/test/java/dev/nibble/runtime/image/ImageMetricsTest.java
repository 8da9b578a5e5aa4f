package dev.nibble.runtime.image;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/// Against scikit-image, on pictures of the fixture and small ones.
class ImageMetricsTest {
  private static final Path REFERENCE = Fixtures.path("models/emoji-zimage/reference");
  private static final double TOLERANCE = 1e-9;

  private static JsonNode golden() throws IOException {
    return new ObjectMapper().readTree(Fixtures.path("goldens/ssim/ssim.json").toFile());
  }

  @Test
  void picturesMeasureAsScikitImageSays() throws Exception {
    JsonNode pairs = golden().get("pairs");
    assertEquals(6, pairs.size());
    for (JsonNode pair : pairs) {
      RgbImage first = Pictures.read(REFERENCE.resolve(pair.get("first").textValue()));
      RgbImage second = Pictures.read(REFERENCE.resolve(pair.get("second").textValue()));
      assertMeasures(pair, first, second);
    }
  }

  @Test
  void smallAndOblongPicturesToo() throws Exception {
    for (JsonNode pair : golden().get("small")) {
      assertMeasures(pair, stored(pair, "first"), stored(pair, "second"));
    }
  }

  private static void assertMeasures(JsonNode golden, RgbImage first, RgbImage second) {
    assertEquals(golden.get("ssim").doubleValue(), ImageMetrics.ssim(first, second), TOLERANCE);
    assertEquals(golden.get("ssim").doubleValue(), ImageMetrics.ssim(second, first), TOLERANCE);
    assertEquals(golden.get("psnr").doubleValue(), ImageMetrics.psnr(first, second), TOLERANCE);
  }

  private static RgbImage stored(JsonNode pair, String key) {
    byte[] rgb = new byte[pair.get(key).size()];
    for (int i = 0; i < rgb.length; i++) {
      rgb[i] = (byte) pair.get(key).get(i).intValue();
    }
    return new RgbImage(pair.get("width").intValue(), pair.get("height").intValue(), rgb);
  }

  @Test
  void equalPicturesAreInfinitelyNear() throws Exception {
    RgbImage image = Pictures.read(REFERENCE.resolve("0-red-apple-g0.png"));
    assertEquals(Double.POSITIVE_INFINITY, ImageMetrics.psnr(image, image));
    assertEquals(1, ImageMetrics.ssim(image, image), TOLERANCE);
  }

  @Test
  void sizesMustAgreeAndHoldAWindow() {
    RgbImage small = new RgbImage(10, 20, new byte[600]);
    RgbImage turned = new RgbImage(20, 10, new byte[600]);
    assertThrows(IllegalArgumentException.class, () -> ImageMetrics.psnr(small, turned));
    assertThrows(IllegalArgumentException.class, () -> ImageMetrics.ssim(small, turned));
    assertThrows(IllegalArgumentException.class, () -> ImageMetrics.ssim(small, small));
  }
}
