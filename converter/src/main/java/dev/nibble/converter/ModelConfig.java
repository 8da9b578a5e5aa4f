package dev.nibble.converter;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import dev.nibble.formats.diffusers.ModelDirectory.Kind;
import dev.nibble.formats.io.IoErrors;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/// A model's `config.json`, as far as a plan needs it.
///
/// @param path where it lies
/// @param json all of it
/// @param kind whose configuration it is
/// @param className the class that opens the model, if it says
record ModelConfig(Path path, ObjectNode json, Kind kind, Optional<String> className) {
  private static final long MAX_SIZE = 16L << 20;

  /// @throws FormatException if it is no JSON object
  /// @throws IOException if it can't be read; the message names it
  static ModelConfig read(Path path) throws IOException {
    String text;
    try {
      if (Files.size(path) > MAX_SIZE) {
        throw new FormatException(
            Where.in(path), "a configuration of at most 16 MiB", Files.size(path) + " bytes");
      }
      if (Files.isDirectory(path)) {
        throw new FormatException(Where.in(path), "a config.json file", "a directory");
      }
      text = new String(Files.readAllBytes(path), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw IoErrors.at(path, e);
    }
    ObjectNode root = parse(path, text);
    Optional<String> diffusersClass = text(root.path("_class_name"));
    Kind kind =
        root.has("_class_name")
            ? Kind.DIFFUSERS
            : root.has("architectures") || root.has("model_type") ? Kind.TRANSFORMERS : Kind.BARE;
    return new ModelConfig(
        path, root, kind, diffusersClass.or(() -> text(root.path("architectures").path(0))));
  }

  private static ObjectNode parse(Path path, String text) {
    JsonNode root;
    try {
      root = new ObjectMapper().readTree(text);
    } catch (JsonProcessingException e) {
      throw new FormatException(
          Where.in(path),
          "the model's configuration, a JSON object",
          "broken JSON at line %d, column %d: fetch this file again"
              .formatted(e.getLocation().getLineNr(), e.getLocation().getColumnNr()));
    }
    if (!(root instanceof ObjectNode object)) {
      throw new FormatException(Where.in(path), "a JSON object", "something else");
    }
    return object;
  }

  private static Optional<String> text(JsonNode node) {
    return node.isTextual() ? Optional.of(node.textValue()) : Optional.empty();
  }
}
