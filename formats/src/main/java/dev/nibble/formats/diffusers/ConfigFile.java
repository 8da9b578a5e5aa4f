package dev.nibble.formats.diffusers;

import com.fasterxml.jackson.core.JsonToken;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import dev.nibble.formats.diffusers.ModelDirectory.Kind;
import dev.nibble.formats.internal.StrictJson;
import dev.nibble.formats.io.IoErrors;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;

/// What the JSON beside a model tells of its directory.
final class ConfigFile {
  private static final long MAX_SIZE = 16L << 20;

  private ConfigFile() {}

  /// Which library's layout the directory of a `config.json` has.
  static Kind kind(Path config) throws IOException {
    Set<String> keys = keys(config);
    if (keys.contains("_class_name")) {
      return Kind.DIFFUSERS;
    }
    return keys.contains("architectures") || keys.contains("model_type")
        ? Kind.TRANSFORMERS
        : Kind.BARE;
  }

  /// The names in the JSON object of a file.
  static Set<String> keys(Path config) throws IOException {
    byte[] text = read(config);
    Set<String> keys = new HashSet<>();
    try (var json = new StrictJson(config, MemorySegment.ofArray(text), 0)) {
      json.expect(JsonToken.START_OBJECT, "a JSON object");
      while (json.next() == JsonToken.FIELD_NAME) {
        keys.add(json.string());
        json.skipValue();
      }
      json.end();
    }
    return keys;
  }

  private static byte[] read(Path config) throws IOException {
    try {
      long size = Files.size(config);
      if (size > MAX_SIZE) {
        throw new FormatException(
            Where.in(config),
            "a configuration of at most %,d bytes".formatted(MAX_SIZE),
            "%,d".formatted(size));
      }
      return Files.readAllBytes(config);
    } catch (IOException e) {
      throw IoErrors.at(config, e);
    }
  }
}
