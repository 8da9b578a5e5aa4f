package dev.nibble.runtime.image;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.NibbleException;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.SequencedMap;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.metadata.IIOMetadataNode;
import javax.imageio.stream.ImageInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.w3c.dom.NodeList;

/// Our PNG files, read back by the JDK's own reader, and pictures of others.
class PngTest {
  private static final SequencedMap<String, String> NO_TEXT = new LinkedHashMap<>();

  @TempDir Path folder;

  /// Noise in one half and a slope in the other, so that every filter has its rows.
  private static RgbImage sample(int width, int height) {
    Random random = new Random(1);
    byte[] rgb = new byte[3 * width * height];
    random.nextBytes(rgb);
    for (int i = 0; i < rgb.length / 2; i++) {
      rgb[i] = (byte) (i / 3 % width * 2 + i / 3 / width * 5);
    }
    return new RgbImage(width, height, rgb);
  }

  private static byte[] encode(RgbImage image, SequencedMap<String, String> texts)
      throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    Png.write(out, image, texts);
    return out.toByteArray();
  }

  @ParameterizedTest
  @CsvSource({"1, 1", "1, 7", "64, 64", "61, 33", "300, 200"})
  void theJdkReadsWhatWeWrite(int width, int height) throws Exception {
    RgbImage image = sample(width, height);
    byte[] file = encode(image, NO_TEXT);
    BufferedImage read = ImageIO.read(new ByteArrayInputStream(file));
    assertEquals(width, read.getWidth());
    assertEquals(height, read.getHeight());
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        int rgb = image.get(x, y, 0) << 16 | image.get(x, y, 1) << 8 | image.get(x, y, 2);
        assertEquals(0xFF000000 | rgb, read.getRGB(x, y), x + "," + y);
      }
    }
    assertArrayEquals(file, encode(image, NO_TEXT));
  }

  @Test
  void filtersEarnTheirPlace() throws Exception {
    RgbImage picture =
        Pictures.read(Fixtures.path("models/emoji-zimage/reference/0-red-apple-g0.png"));
    int size = encode(picture, NO_TEXT).length;
    assertTrue(size < 5000, "64x64 in " + size + " bytes"); // 4392 by Pillow, 12288 raw
  }

  @Test
  void textsComeBackWhateverTheirScript() throws Exception {
    SequencedMap<String, String> texts = new LinkedHashMap<>();
    texts.put("prompt", "Äpfel, 2 Stück");
    texts.put("negative", "赤いりんご 🍎");
    texts.put("lines", "one\ntwo");
    texts.put("empty", "");
    byte[] file = encode(sample(16, 16), texts);
    try (ImageInputStream in = ImageIO.createImageInputStream(new ByteArrayInputStream(file))) {
      ImageReader reader = ImageIO.getImageReaders(in).next();
      reader.setInput(in);
      var root = (IIOMetadataNode) reader.getImageMetadata(0).getAsTree("javax_imageio_png_1.0");
      SequencedMap<String, String> read = new LinkedHashMap<>();
      collect(root.getElementsByTagName("tEXtEntry"), "value", read);
      collect(root.getElementsByTagName("iTXtEntry"), "text", read);
      assertEquals(Map.copyOf(texts), Map.copyOf(read));
      assertEquals(1, root.getElementsByTagName("iTXtEntry").getLength());
    }
  }

  private static void collect(NodeList entries, String key, Map<String, String> into) {
    for (int i = 0; i < entries.getLength(); i++) {
      IIOMetadataNode entry = (IIOMetadataNode) entries.item(i);
      into.put(entry.getAttribute("keyword"), entry.getAttribute(key));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"", " prompt", "赤", "with\nbreak"})
  void keywordsAreChecked(String keyword) {
    SequencedMap<String, String> texts = new LinkedHashMap<>();
    texts.put(keyword, "x");
    assertThrows(IllegalArgumentException.class, () -> encode(sample(2, 2), texts));
  }

  @Test
  void aFileThatExistsIsReplacedOnlyByForce() throws Exception {
    Path file = Files.writeString(folder.resolve("a.png"), "mine");
    RgbImage image = sample(8, 8);
    NibbleException refusal =
        assertThrows(NibbleException.class, () -> Png.write(file, image, NO_TEXT, false));
    assertTrue(String.valueOf(refusal.getMessage()).contains("--force"), refusal.getMessage());
    assertEquals("mine", Files.readString(file));
    Png.write(file, image, NO_TEXT, true);
    assertArrayEquals(image.toBytes(), Pictures.read(file).toBytes());
    try (Stream<Path> left = Files.list(folder)) {
      assertEquals(1, left.count());
    }
  }

  @Test
  void jpegAndTransparencyAreRead() throws Exception {
    BufferedImage grey = new BufferedImage(16, 8, BufferedImage.TYPE_INT_RGB);
    for (int i = 0; i < 16 * 8; i++) {
      grey.setRGB(i % 16, i / 16, 0x808080);
    }
    Path jpeg = folder.resolve("a.jpg");
    assertTrue(ImageIO.write(grey, "jpg", jpeg.toFile()));
    RgbImage image = Pictures.read(jpeg);
    assertEquals(16, image.width());
    assertEquals(8, image.height());
    assertEquals(128, image.get(3, 3, 1), 2);

    BufferedImage clear = new BufferedImage(2, 1, BufferedImage.TYPE_INT_ARGB);
    clear.setRGB(0, 0, 0x00123456);
    clear.setRGB(1, 0, 0x80000000);
    Path png = folder.resolve("clear.png");
    assertTrue(ImageIO.write(clear, "png", png.toFile()));
    assertArrayEquals(new byte[] {-1, -1, -1, 127, 127, 127}, Pictures.read(png).toBytes());
  }

  @Test
  void whatIsNoPictureIsRefusedByName() throws Exception {
    Path text = Files.writeString(folder.resolve("a.txt"), "no picture");
    Path none = folder.resolve("none.png");
    byte[] whole = encode(sample(40, 40), NO_TEXT);
    Path cut = Files.write(folder.resolve("cut.png"), java.util.Arrays.copyOf(whole, 600));
    assertEquals(
        none + ": no such file or directory",
        assertThrows(IOException.class, () -> Pictures.read(none)).getMessage());
    for (Path file : new Path[] {text, cut}) {
      NibbleException refusal =
          assertThrows(NibbleException.class, () -> Pictures.read(file), file.toString());
      assertNotNull(refusal.getMessage());
      assertTrue(refusal.getMessage().startsWith(file + ": "), refusal.getMessage());
    }
  }
}
