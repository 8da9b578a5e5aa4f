package dev.nibble.formats.internal;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Iterator;
import java.util.Map;
import java.util.TreeMap;

/// JSON text as Python's `json.dumps` writes it, byte for byte: all ASCII, floats by {@link
/// PythonFloat}.
public final class PythonJson {
  private PythonJson() {}

  /// `json.dumps(value)`: one line, keys in their order, `", "` and `": "` between.
  public static String compact(JsonNode value) {
    StringBuilder text = new StringBuilder();
    write(value, text, -1);
    return text.toString();
  }

  /// `json.dumps(value, indent=2, sort_keys=True) + "\n"`, as diffusers and transformers write
  /// configuration files.
  public static String sortedAndIndented(JsonNode value) {
    StringBuilder text = new StringBuilder();
    write(value, text, 0);
    return text.append('\n').toString();
  }

  /// @param depth how deep the value stands; negative for one line
  private static void write(JsonNode value, StringBuilder text, int depth) {
    switch (value.getNodeType()) {
      case OBJECT -> writeObject(value, text, depth);
      case ARRAY -> writeArray(value, text, depth);
      case STRING -> quote(value.textValue(), text);
      case NUMBER ->
          text.append(
              value.isIntegralNumber()
                  ? value.bigIntegerValue().toString()
                  : PythonFloat.repr(value.doubleValue()));
      case BOOLEAN -> text.append(value.booleanValue());
      case NULL -> text.append("null");
      case BINARY, POJO, MISSING ->
          throw new IllegalArgumentException("JSON has no " + value.getNodeType());
    }
  }

  private static void writeObject(JsonNode value, StringBuilder text, int depth) {
    Iterable<Map.Entry<String, JsonNode>> entries = value.properties();
    if (depth >= 0) {
      // Python orders by code points; those beyond U+FFFF are not expected in keys.
      Map<String, JsonNode> sorted = new TreeMap<>();
      entries.forEach(entry -> sorted.put(entry.getKey(), entry.getValue()));
      entries = sorted.entrySet();
    }
    text.append('{');
    String separator = "";
    for (Map.Entry<String, JsonNode> entry : entries) {
      text.append(separator);
      newLine(text, depth, 1);
      quote(entry.getKey(), text);
      text.append(": ");
      write(entry.getValue(), text, depth < 0 ? depth : depth + 1);
      separator = depth < 0 ? ", " : ",";
    }
    if (!value.isEmpty()) {
      newLine(text, depth, 0);
    }
    text.append('}');
  }

  private static void writeArray(JsonNode value, StringBuilder text, int depth) {
    text.append('[');
    Iterator<JsonNode> items = value.iterator();
    while (items.hasNext()) {
      newLine(text, depth, 1);
      write(items.next(), text, depth < 0 ? depth : depth + 1);
      text.append(!items.hasNext() ? "" : depth < 0 ? ", " : ",");
    }
    if (!value.isEmpty()) {
      newLine(text, depth, 0);
    }
    text.append(']');
  }

  private static void newLine(StringBuilder text, int depth, int deeper) {
    if (depth >= 0) {
      text.append('\n').append("  ".repeat(depth + deeper));
    }
  }

  private static void quote(String string, StringBuilder text) {
    text.append('"');
    for (int i = 0; i < string.length(); i++) {
      char c = string.charAt(i);
      switch (c) {
        case '"' -> text.append("\\\"");
        case '\\' -> text.append("\\\\");
        case '\n' -> text.append("\\n");
        case '\r' -> text.append("\\r");
        case '\t' -> text.append("\\t");
        case '\f' -> text.append("\\f");
        case '\b' -> text.append("\\b");
        default -> {
          if (c < ' ' || c > '~') {
            text.append("\\u%04x".formatted((int) c));
          } else {
            text.append(c);
          }
        }
      }
    }
    text.append('"');
  }
}
