package dev.nibble.tools.report;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.converter.internal.Version;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;

/// What the JSON results of all commands share. Printed in UTF-8, whatever the terminal's encoding.
public final class JsonText {
  private static final ObjectMapper MAPPER = new ObjectMapper();

  private JsonText() {}

  /// A result that says where it comes from: tool, command, version, inputs, outputs.
  public static ObjectNode root(String command, List<Path> inputs, List<Path> outputs) {
    ObjectNode root = MAPPER.createObjectNode();
    root.put("tool", "nibble");
    root.put("command", command);
    root.put("version", Version.current());
    ArrayNode in = root.putArray("inputs");
    inputs.forEach(path -> in.add(path.toString()));
    ArrayNode out = root.putArray("outputs");
    outputs.forEach(path -> out.add(path.toString()));
    return root;
  }

  /// JSON has no infinity: such a number becomes null.
  public static void putFinite(ObjectNode node, String key, double value) {
    if (Double.isFinite(value)) {
      node.put(key, value);
    } else {
      node.putNull(key);
    }
  }

  static ObjectNode object() {
    return MAPPER.createObjectNode();
  }

  /// Indented, with a line break at the end.
  static String text(JsonNode root) {
    return root.toPrettyString() + "\n";
  }

  public static void print(JsonNode root, PrintStream out) throws IOException {
    out.write(text(root).getBytes(StandardCharsets.UTF_8));
    out.flush();
  }
}
