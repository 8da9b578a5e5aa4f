package dev.nibble.formats.calibration;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import dev.nibble.formats.Text;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;

/// Layers and their inputs as the JSON object of the metadata key `layers`.
public final class LayerTable {
  static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private LayerTable() {}

  /// `{"layers.0.attention.to_k": {"input": "layers.0.attention.to_q", "out": 192, "in": 192},
  /// ..}`, in the order of the map.
  public static String text(SequencedMap<String, CalibratedLayer> layers) {
    ObjectNode table = JSON.createObjectNode();
    layers.forEach((module, layer) ->
        table
            .putObject(module)
            .put("input", layer.input())
            .put("out", layer.out())
            .put("in", layer.in()));
    return table.toString();
  }

  /// Reads what {@link #text} wrote.
  ///
  /// @param file for messages
  /// @throws FormatException if it is anything else, or an input is not that of a layer
  public static SequencedMap<String, CalibratedLayer> read(Path file, String text) {
    SequencedMap<String, CalibratedLayer> layers = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> entry : object(file, text).properties()) {
      JsonNode layer = entry.getValue();
      if (!layer.path("input").isTextual() || size(layer, "out") < 1 || size(layer, "in") < 1) {
        throw fault(
            file,
            "metadata 'layers' to say input, out and in of layer '%s'"
                .formatted(Text.printable(entry.getKey())),
            "something else");
      }
      layers.put(
          entry.getKey(),
          new CalibratedLayer(
              layer.path("input").textValue(), size(layer, "out"), size(layer, "in")));
    }
    if (layers.isEmpty()) {
      throw fault(file, "metadata 'layers' with one layer or more", "none");
    }
    layers.forEach((module, layer) -> requireInput(file, layers, module, layer));
    return layers;
  }

  private static ObjectNode object(Path file, String text) {
    try {
      if (JSON.readTree(text) instanceof ObjectNode object) {
        return object;
      }
    } catch (JsonProcessingException _) {
      // Told below.
    }
    throw fault(file, "metadata 'layers' as a JSON object", "something else");
  }

  private static int size(JsonNode layer, String key) {
    return layer.path(key).isInt() ? layer.path(key).intValue() : 0;
  }

  /// An input is named by a layer that takes it, and layers that share it are of one width.
  private static void requireInput(
      Path file, Map<String, CalibratedLayer> layers, String module, CalibratedLayer layer) {
    CalibratedLayer first = layers.get(layer.input());
    if (first == null || !first.input().equals(layer.input()) || first.in() != layer.in()) {
      throw fault(
          file,
          "the input of layer '%s' to be that of a layer of %d columns"
              .formatted(Text.printable(module), layer.in()),
          "'" + Text.printable(layer.input()) + "'");
    }
  }

  static FormatException fault(Path file, String expected, String found) {
    return new FormatException(Where.in(file), expected, found + ": record them anew");
  }
}
