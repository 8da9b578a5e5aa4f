package dev.nibble.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.runtime.image.Pictures;
import dev.nibble.runtime.image.RgbImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/// Against diffusers' encoder with LPIPS's formula in torch, and what a distance must be.
class PerceptualDistanceTest {
  private static final Path MODEL = Fixtures.path("models/emoji-zimage");

  private static Pipeline pipeline;

  @BeforeAll
  static void open() throws IOException {
    pipeline = Pipeline.open(MODEL, PipelineOptions.defaults());
  }

  @AfterAll
  static void close() {
    pipeline.close();
  }

  private static RgbImage reference(String name) throws IOException {
    return Pictures.read(MODEL.resolve("reference").resolve(name));
  }

  private static RgbImage noisy(RgbImage image, double deviation) {
    Random random = new Random(3);
    byte[] rgb = image.toBytes();
    for (int i = 0; i < rgb.length; i++) {
      double value = (rgb[i] & 0xFF) + deviation * random.nextGaussian();
      rgb[i] = (byte) Math.clamp(Math.round(value), 0, 255);
    }
    return new RgbImage(image.width(), image.height(), rgb);
  }

  @Test
  void picturesAreAsFarApartAsTorchSays() throws IOException {
    JsonNode pairs = Goldens.json("goldens/vae/perceptual.json").get("pairs");
    assertEquals(4, pairs.size());
    for (JsonNode pair : pairs) {
      RgbImage first = reference(pair.get("first").textValue());
      RgbImage second = reference(pair.get("second").textValue());
      double expected = pair.get("distance").doubleValue();
      double found = pipeline.perceptualDistance(first, second);
      assertEquals(expected, found, 1e-4 * expected, pair.toString());
      assertEquals(found, pipeline.perceptualDistance(second, first), "symmetry");
    }
  }

  @Test
  void equalPicturesAreNotApart() throws IOException {
    RgbImage image = reference("3-cat-face-g0.png");
    assertEquals(0, pipeline.perceptualDistance(image, image));
  }

  @Test
  void moreNoiseIsFartherAway() throws IOException {
    RgbImage image = reference("0-red-apple-g0.png");
    double before = 0;
    for (double deviation : new double[] {1, 2, 4, 8, 16, 32}) {
      double distance = pipeline.perceptualDistance(image, noisy(image, deviation));
      assertTrue(distance > 1.2 * before, deviation + ": " + distance + " after " + before);
      before = distance;
    }
    assertTrue(before < 4, "unit vectors differ by no more, not " + before);
  }

  @Test
  void onlyPicturesOfOneSizeThatTheEncoderTakesCompare() throws IOException {
    RgbImage image = reference("2-rocket-g0.png");
    RgbImage wide = new RgbImage(128, 64, new byte[3 * 128 * 64]);
    RgbImage odd = new RgbImage(60, 64, new byte[3 * 60 * 64]);
    Goldens.assertSays(
        assertThrows(
            IllegalArgumentException.class, () -> pipeline.perceptualDistance(image, wide)),
        "nothing to compare");
    Goldens.assertSays(
        assertThrows(IllegalArgumentException.class, () -> pipeline.perceptualDistance(odd, odd)),
        "multiples of 8");
  }

  @Test
  void nothingIsLeftInMemory() throws IOException {
    RgbImage image = reference("2-rocket-g0.png");
    long before = pipeline.openBytes();
    pipeline.perceptualDistance(image, image);
    assertEquals(before, pipeline.openBytes());
  }
}
