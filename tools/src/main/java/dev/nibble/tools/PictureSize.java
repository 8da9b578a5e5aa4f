package dev.nibble.tools;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// The size of a picture as people write it: `1024x768`, or `512` for a square.
///
/// @param width in pixels
/// @param height in pixels
record PictureSize(int width, int height) {
  private static final Pattern FORM = Pattern.compile("([1-9]\\d{0,5})(?:[x×X]([1-9]\\d{0,5}))?");

  /// @throws IllegalArgumentException if the text is no size
  static PictureSize parse(String text) {
    Matcher matcher = FORM.matcher(text.strip());
    if (!matcher.matches()) {
      throw new IllegalArgumentException("is no size: write it as 1024x768");
    }
    int width = Integer.parseInt(matcher.group(1));
    String height = matcher.group(2);
    return new PictureSize(width, height == null ? width : Integer.parseInt(height));
  }

  @Override
  public String toString() {
    return width + "x" + height;
  }
}
