package dev.nibble.runtime.weights;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import dev.nibble.formats.UnsupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// A model's `config.json`, read with errors that name the file, the key and what is wrong.
public final class ModelConfig {
  private final Path file;
  private final ObjectNode json;

  /// @param file for messages
  public ModelConfig(Path file, ObjectNode json) {
    this.file = file;
    this.json = json;
  }

  /// Where the configuration of a model lies: in its directory, or beside its file.
  public static Path beside(Path model) {
    return Files.isDirectory(model)
        ? model.resolve("config.json")
        : model.resolveSibling("config.json");
  }

  /// The file, for messages.
  public Path file() {
    return file;
  }

  /// Whether the key is there and not null.
  public boolean has(String key) {
    return json.hasNonNull(key);
  }

  /// A text, or the empty text where the key is missing.
  public String text(String key) {
    return json.path(key).asText("");
  }

  /// A whole number.
  public int integer(String key) {
    JsonNode value = json.path(key);
    if (!value.isInt()) {
      throw wrong(key, "a whole number", value);
    }
    return value.intValue();
  }

  /// A count of 1 or more.
  public int count(String key) {
    return count(key, 0);
  }

  /// A count of 1 or more, or another where the key is missing.
  public int count(String key, int otherwise) {
    int value = has(key) ? integer(key) : otherwise;
    if (value < 1) {
      throw wrong(key, "a number of 1 or more", json.path(key));
    }
    return value;
  }

  /// A number.
  public double number(String key) {
    JsonNode value = json.path(key);
    if (!value.isNumber()) {
      throw wrong(key, "a number", value);
    }
    return value.doubleValue();
  }

  /// A number, or another where the key is missing.
  public double number(String key, double otherwise) {
    return has(key) ? number(key) : otherwise;
  }

  /// True or false, or `otherwise` where the key is missing.
  public boolean flag(String key, boolean otherwise) {
    JsonNode value = json.path(key);
    if (!has(key)) {
      return otherwise;
    }
    if (!value.isBoolean()) {
      throw wrong(key, "true or false", value);
    }
    return value.booleanValue();
  }

  /// A list of one or more whole numbers.
  public List<Integer> integers(String key) {
    JsonNode value = json.path(key);
    List<Integer> numbers = new ArrayList<>();
    for (JsonNode item : value) {
      if (!item.isInt()) {
        throw wrong(key, "a list of whole numbers", value);
      }
      numbers.add(item.intValue());
    }
    if (!value.isArray() || numbers.isEmpty()) {
      throw wrong(key, "a list of whole numbers", value);
    }
    return numbers;
  }

  /// A JSON object inside this one.
  public ModelConfig object(String key) {
    if (!(json.path(key) instanceof ObjectNode object)) {
      throw wrong(key, "a JSON object", json.path(key));
    }
    return new ModelConfig(file, object);
  }

  /// Refuses what nibble has not built: a key that is missing has the wanted value.
  public void require(String key, Object wanted) {
    if (has(key) && !json.path(key).asText().equals(wanted.toString())) {
      throw new UnsupportedException(
          file.toString(), "'%s' is %s: nibble runs %s".formatted(key, json.path(key), wanted));
    }
  }

  /// Refuses a list that has anything but the wanted value.
  public void requireAll(String key, String wanted) {
    for (JsonNode item : json.path(key)) {
      if (!item.asText().equals(wanted)) {
        throw new UnsupportedException(
            file.toString(), "'%s' has %s: nibble runs %s".formatted(key, item, wanted));
      }
    }
  }

  /// Refuses a list whose first number is another.
  public void requireFirst(String key, int wanted) {
    if (has(key) && integers(key).getFirst() != wanted) {
      throw new UnsupportedException(
          file.toString(), "'%s' is %s: nibble runs %s".formatted(key, json.path(key), wanted));
    }
  }

  /// Refuses what must be missing or null.
  public void requireNone(String key) {
    if (has(key)) {
      throw new UnsupportedException(
          file.toString(), "'%s' is %s: nibble runs models without".formatted(key, json.path(key)));
    }
  }

  /// A fault of a key's value.
  public FormatException wrong(String key, String wanted, JsonNode found) {
    return new FormatException(
        Where.in(file),
        "'" + key + "' as " + wanted,
        found.isMissingNode() ? "none: this is another model's config.json" : found.toString());
  }

  /// A fault of sizes that do not fit each other.
  public FormatException wrong(String wanted, String found) {
    return new FormatException(Where.in(file), wanted, found);
  }
}
