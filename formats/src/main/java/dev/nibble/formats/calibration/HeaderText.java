package dev.nibble.formats.calibration;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import dev.nibble.formats.Text;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/// A {@link CalibrationHeader} as the metadata of a safetensors file, whose values are texts.
final class HeaderText {
  static final String FORMAT = "nibble.calibration";
  static final int VERSION = 1;

  private final Path file;
  private final Map<String, String> metadata;

  private HeaderText(Path file, Map<String, String> metadata) {
    this.file = file;
    this.metadata = metadata;
  }

  static Map<String, String> write(CalibrationHeader header) {
    Map<String, String> metadata = new LinkedHashMap<>();
    metadata.put("format", FORMAT);
    metadata.put("version", Integer.toString(VERSION));
    metadata.put("component", header.component());
    metadata.put("config", header.config());
    metadata.put("layers", LayerTable.text(header.layers()));
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
        text.config(),
        LayerTable.read(file, text.of("layers")),
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
    return LayerTable.fault(file, expected, found);
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

  private String config() {
    try {
      if (LayerTable.JSON.readTree(of("config")) instanceof ObjectNode object) {
        return object.toString();
      }
    } catch (JsonProcessingException _) {
      // Told below.
    }
    throw fault("metadata 'config' as a JSON object", "something else");
  }
}
