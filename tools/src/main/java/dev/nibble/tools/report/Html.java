package dev.nibble.tools.report;

import dev.nibble.formats.Text;
import java.util.Locale;

/// Text made safe to stand in HTML and SVG, in content and in quoted attributes.
final class Html {
  private Html() {}

  /// As `String.format`, in no country's manner.
  // @FormatMethod would need a library for this one method.
  @SuppressWarnings("AnnotateFormatMethod")
  static String format(String pattern, Object... values) {
    return String.format(Locale.ROOT, pattern, values);
  }

  static String escape(String text) {
    StringBuilder escaped = new StringBuilder(text.length() + 16);
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '&' -> escaped.append("&amp;");
        case '<' -> escaped.append("&lt;");
        case '>' -> escaped.append("&gt;");
        case '"' -> escaped.append("&quot;");
        case '\'' -> escaped.append("&#39;");
        default -> escaped.append(c);
      }
    }
    return escaped.toString();
  }

  /// A name from a file, which may hold anything.
  static String name(String name) {
    return escape(Text.printable(name));
  }
}
