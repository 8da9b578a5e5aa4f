package dev.nibble.formats.calibration;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Map;
import java.util.TreeMap;

/// What of a `config.json` makes a model: two checkpoints of one architecture have the same text,
/// quantized or not, whoever saved them.
public final class CanonicalConfig {
  private static final String QUANTIZATION = "quantization_config";
  private static final String CLASS_NAME = "_class_name";

  private CanonicalConfig() {}

  /// The configuration with sorted keys and no spaces; without how it is quantized and without what
  /// its library notes of itself (keys that begin with `_`, but for `_class_name`).
  public static String of(ObjectNode config) {
    ObjectNode kept = JsonNodeFactory.instance.objectNode();
    for (Map.Entry<String, JsonNode> entry : config.properties()) {
      String key = entry.getKey();
      if (!key.equals(QUANTIZATION) && (!key.startsWith("_") || key.equals(CLASS_NAME))) {
        kept.set(key, entry.getValue());
      }
    }
    return sorted(kept).toString();
  }

  private static JsonNode sorted(JsonNode node) {
    return switch (node) {
      case ObjectNode object -> {
        Map<String, JsonNode> entries = new TreeMap<>();
        object.properties().forEach(e -> entries.put(e.getKey(), sorted(e.getValue())));
        ObjectNode result = JsonNodeFactory.instance.objectNode();
        entries.forEach(result::set);
        yield result;
      }
      case ArrayNode array -> {
        ArrayNode result = JsonNodeFactory.instance.arrayNode();
        array.forEach(element -> result.add(sorted(element)));
        yield result;
      }
      default -> node;
    };
  }
}
