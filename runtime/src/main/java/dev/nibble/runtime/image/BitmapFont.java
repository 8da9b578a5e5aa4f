package dev.nibble.runtime.image;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.text.Normalizer;
import java.util.HashMap;
import java.util.Map;

/// A font of 5x9 pixels, of which two are below the line, for printable ASCII. The glyphs are in
/// the resource `font-5x9.txt`: the character, then its rows from the top in hexadecimal, whose
/// lowest five bits are pixels, the leftmost first; rows that are left out are empty.
@SuppressWarnings("ArrayRecordComponent") // never compared
record BitmapFont(Map<Integer, int[]> glyphs) {
  static final int WIDTH = 5;
  static final int HEIGHT = 9;

  /// From one character to the next.
  static final int ADVANCE = WIDTH + 1;

  /// From one line to the next.
  static final int LINE = HEIGHT + 2;

  static BitmapFont load() {
    Map<Integer, int[]> glyphs = new HashMap<>();
    try (InputStream resource = BitmapFont.class.getResourceAsStream("font-5x9.txt")) {
      if (resource == null) {
        throw new AssertionError("the build leaves font-5x9.txt beside this class");
      }
      BufferedReader lines =
          new BufferedReader(new InputStreamReader(resource, StandardCharsets.US_ASCII));
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        glyphs.put((int) line.charAt(0), rows(line.substring(1).strip()));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return new BitmapFont(glyphs);
  }

  private static int[] rows(String text) {
    int[] rows = new int[HEIGHT];
    String[] words = text.isEmpty() ? new String[0] : text.split(" ");
    for (int i = 0; i < words.length; i++) {
      rows[i] = Integer.parseInt(words[i], 16);
    }
    return rows;
  }

  /// The characters to draw for a text: accents are dropped, what the font lacks is `?`.
  static int[] points(String text) {
    return Normalizer.normalize(text, Normalizer.Form.NFD)
        .codePoints()
        .filter(point -> Character.getType(point) != Character.NON_SPACING_MARK)
        .map(point -> point >= ' ' && point <= '~' ? point : '?')
        .toArray();
  }

  /// Pixels that a text takes from left to right.
  static int width(String text) {
    return points(text).length * ADVANCE;
  }

  /// Whether a pixel of a glyph is set.
  ///
  /// @param point printable ASCII
  boolean isInk(int point, int x, int y) {
    int[] rows = glyphs.get(point);
    return rows != null && (rows[y] >> (WIDTH - 1 - x) & 1) == 1;
  }
}
