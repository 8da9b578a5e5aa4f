package dev.nibble.tools.report;

import dev.nibble.formats.Text;

/// Text made safe to stand in HTML and SVG, in content and in quoted attributes.
final class Html {
  private Html() {}

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
