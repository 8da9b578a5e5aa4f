package dev.nibble.runtime.schedule;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import java.nio.file.Path;
import java.util.OptionalDouble;

/// The values of a `scheduler_config.json`. A key that is missing or null has diffusers' default.
///
/// @param file for messages
record SchedulerConfig(ObjectNode json, Path file) {
  boolean flag(String key) {
    JsonNode value = json.path(key);
    if (!value.isBoolean() && !absent(value)) {
      throw fault(key, "true or false", value);
    }
    return value.booleanValue();
  }

  double number(String key, double otherwise) {
    return optionalNumber(key).orElse(otherwise);
  }

  OptionalDouble optionalNumber(String key) {
    JsonNode value = json.path(key);
    if (absent(value)) {
      return OptionalDouble.empty();
    }
    if (!value.isNumber()) {
      throw fault(key, "a number", value);
    }
    return OptionalDouble.of(value.doubleValue());
  }

  int size(String key, int otherwise) {
    JsonNode value = json.path(key);
    if (absent(value)) {
      return otherwise;
    }
    if (!value.isInt() || value.intValue() < 1) {
      throw fault(key, "a number of 1 or more", value);
    }
    return value.intValue();
  }

  private static boolean absent(JsonNode value) {
    return value.isMissingNode() || value.isNull();
  }

  private FormatException fault(String key, String expected, JsonNode value) {
    return new FormatException(Where.in(file), key + " as " + expected, value.toString());
  }
}
