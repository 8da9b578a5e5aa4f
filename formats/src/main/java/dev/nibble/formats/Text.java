package dev.nibble.formats;

/// Text from files, made fit to print.
public final class Text {
  private static final int LONGEST = 120;

  private Text() {}

  /// One line of at most 120 characters: control characters become `?`, the rest is cut with `...`.
  /// Names come from files that nobody vouches for, and go to terminals.
  public static String printable(String text) {
    StringBuilder line = new StringBuilder(Math.min(text.length(), LONGEST) + 3);
    text.codePoints()
        .limit(LONGEST)
        .forEach(point ->
            line.appendCodePoint(
                Character.isISOControl(point)
                        || Character.getType(point) == Character.FORMAT
                        || Character.getType(point) == Character.SURROGATE
                        || Character.getType(point) == Character.LINE_SEPARATOR
                        || Character.getType(point) == Character.PARAGRAPH_SEPARATOR
                    ? '?'
                    : point));
    return text.codePointCount(0, text.length()) > LONGEST ? line + "..." : line.toString();
  }
}
