package dev.nibble.formats.safetensors;

import java.util.HexFormat;

/// Strings as two JSON writers put them, whose bytes we equal.
final class JsonText {
  private JsonText() {}

  /// As Rust's serde_json: only quote, backslash and control characters are escaped.
  static void appendString(StringBuilder json, String string) {
    json.append('"');
    for (int i = 0; i < string.length(); i++) {
      appendEscaped(json, string.charAt(i));
    }
    json.append('"');
  }

  /// As Python's json with `ensure_ascii`: DEL and everything beyond ASCII as UTF-16 units.
  static void appendAsciiString(StringBuilder json, String string) {
    json.append('"');
    for (int i = 0; i < string.length(); i++) {
      char c = string.charAt(i);
      if (c > 0x7E) {
        appendUnit(json, c);
      } else {
        appendEscaped(json, c);
      }
    }
    json.append('"');
  }

  private static void appendEscaped(StringBuilder json, char c) {
    switch (c) {
      case '"' -> json.append("\\\"");
      case '\\' -> json.append("\\\\");
      case '\b' -> json.append("\\b");
      case '\f' -> json.append("\\f");
      case '\n' -> json.append("\\n");
      case '\r' -> json.append("\\r");
      case '\t' -> json.append("\\t");
      default -> {
        if (c < ' ') {
          appendUnit(json, c);
        } else {
          json.append(c);
        }
      }
    }
  }

  private static void appendUnit(StringBuilder json, char c) {
    json.append("\\u").append(HexFormat.of().toHexDigits(c));
  }
}
