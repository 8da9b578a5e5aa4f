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

/// A {@link CalibrationHeader} as the metadata of a safetensors file, whose values are texts.
final class HeaderText {
  static final String FORMAT = "nibble.calibration";
  static final int VERSION = 1;

  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private final Path file;
  private final Map<String, String> metadata;

  private HeaderText(Path file, Map<String, String> metadata) {
    this.file = file;
    this.metadata = metadata;
  }

  static Map<String, String> write(CalibrationHeader header) {
    ObjectNode layers = JSON.createObjectNode();
    header
        .layers()
        .forEach((module, layer) ->
            layers
                .putObject(module)
                .put("input", layer.input())
                .put("out", layer.out())
                .put("in", layer.in()));
    Map<String, String> metadata = new LinkedHashMap<>();
    metadata.put("format", FORMAT);
    metadata.put("version", Integer.toString(VERSION));
    metadata.put("component", header.component());
    metadata.put("config", header.config());
    metadata.put("layers", layers.toString());
    metadata.put("prompts", Integer.toString(header.prompts()));
    metadata.put("steps", Integer.toString(header.steps()));
    metadata.put("seed", Long.toString(header.seed()));
    metadata.put("guidance", Double.toString(header.guidance()));
    metadata.put("tool", header.tool());
    return metadata;
  }

  /// @throws FormatException if the metadata is not that of statistics this version reads
  static CalibrationHeader read(Path file, Map<String, String> metadata) {
    HeaderText text = new HeaderText(file, metadata);
    text.requireKind();
    return new CalibrationHeader(
        text.of("component"),
        text.object("config").toString(),
        text.layers(),
        Math.toIntExact(text.number("prompts", 1, Integer.MAX_VALUE)),
        Math.toIntExact(text.number("steps", 1, Integer.MAX_VALUE)),
        text.number("seed", Long.MIN_VALUE, Long.MAX_VALUE),
        text.guidance(),
        text.of("tool"));
  }

  private void requireKind() {
    if (!FORMAT.equals(metadata.get("format"))) {
      throw new FormatException(
          Where.in(file),
          "calibration statistics",
          "a safetensors file of another kind: name what `nibble calibrate -o X.safetensors` wrote");
    }
    long version = number("version", 1, Long.MAX_VALUE);
    if (version > VERSION) {
      throw new FormatException(
          Where.in(file),
          "calibration statistics of version " + VERSION,
          "version %d: update nibble, or record them anew".formatted(version));
    }
  }

  private String of(String key) {
    String value = metadata.get(key);
    if (value == null) {
      throw fault("metadata '" + key + "' of calibration statistics", "none");
    }
    return value;
  }

  private FormatException fault(String expected, String found) {
    return new FormatException(Where.in(file), expected, found + ": record them anew");
  }

  private long number(String key, long least, long most) {
    String value = of(key);
    try {
      long number = Long.parseLong(value);
      if (number >= least && number <= most) {
        return number;
      }
    } catch (NumberFormatException _) {
      // Told below.
    }
    throw fault(
        "metadata '%s' as a whole number from %d".formatted(key, least), Text.printable(value));
  }

  private double guidance() {
    String value = of("guidance");
    try {
      double number = Double.parseDouble(value);
      if (number >= 0 && Double.isFinite(number)) {
        return number;
      }
    } catch (NumberFormatException _) {
      // Told below.
    }
    throw fault("metadata 'guidance' as a number from 0", Text.printable(value));
  }

  private ObjectNode object(String key) {
    try {
      if (JSON.readTree(of(key)) instanceof ObjectNode object) {
        return object;
      }
    } catch (JsonProcessingException _) {
      // Told below.
    }
    throw fault("metadata '" + key + "' as a JSON object", "something else");
  }

  private SequencedMap<String, CalibratedLayer> layers() {
    SequencedMap<String, CalibratedLayer> layers = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> entry : object("layers").properties()) {
      JsonNode layer = entry.getValue();
      String module = Text.printable(entry.getKey());
      if (!layer.path("input").isTextual() || size(layer, "out") < 1 || size(layer, "in") < 1) {
        throw fault(
            "metadata 'layers' to say input, out and in of layer '%s'".formatted(module),
            "something else");
      }
      layers.put(
          entry.getKey(),
          new CalibratedLayer(
              layer.path("input").textValue(), size(layer, "out"), size(layer, "in")));
    }
    if (layers.isEmpty()) {
      throw fault("metadata 'layers' with one layer or more", "none");
    }
    return requireSources(layers);
  }

  private static int size(JsonNode layer, String key) {
    return layer.path(key).isInt() ? layer.path(key).intValue() : 0;
  }

  /// An input is named by a layer that takes it, and layers that share it are of one width.
  private SequencedMap<String, CalibratedLayer> requireSources(
      SequencedMap<String, CalibratedLayer> layers) {
    layers.forEach((module, layer) -> {
      CalibratedLayer first = layers.get(layer.input());
      if (first == null || !first.input().equals(layer.input()) || first.in() != layer.in()) {
        throw fault(
            "the input of layer '%s' to be that of a layer of %d columns"
                .formatted(Text.printable(module), layer.in()),
            "'" + Text.printable(layer.input()) + "'");
      }
    });
    return layers;
  }
}
