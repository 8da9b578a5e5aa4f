package dev.nibble.runtime;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.io.JsonFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Optional;

/// Where the components of a pipeline lie: in its diffusers directory, but for those that the
/// options replace.
///
/// @param path the pipeline's directory
/// @param transformer directory or file
/// @param textEncoder directory or file
/// @param vae directory or file
record PipelineDirectory(Path path, Path transformer, Path textEncoder, Path vae) {
  private static final String INDEX = "model_index.json";
  private static final String RUNS = "ZImagePipeline";

  /// Finds the components, reading `model_index.json` alone.
  static PipelineDirectory find(Path path, PipelineOptions options) throws IOException {
    if (!Files.exists(path)) {
      throw new NoSuchFileException(path.toString());
    }
    Path index = path.resolve(INDEX);
    if (!Files.isRegularFile(index)) {
      throw new UnsupportedException(
          path.toString(),
          "no pipeline: there is no "
              + INDEX
              + "; name the directory that has one, with"
              + " transformer/, text_encoder/, vae/, scheduler/ and tokenizer/ in it");
    }
    String className = JsonFile.object(index).path("_class_name").asText("");
    if (!className.equals(RUNS)) {
      throw new UnsupportedException(
          index.toString(),
          "pipeline '%s' can't be run yet: nibble runs %s".formatted(className, RUNS));
    }
    return new PipelineDirectory(
        path,
        component(path, "transformer", options.transformer()),
        component(path, "text_encoder", options.textEncoder()),
        component(path, "vae", options.vae()));
  }

  private static Path component(Path directory, String name, Optional<Path> replacement)
      throws IOException {
    Path path = replacement.orElse(directory.resolve(name));
    if (!Files.exists(path)) {
      if (replacement.isPresent()) {
        throw new NoSuchFileException(path.toString());
      }
      throw missing(path, "the pipeline's " + name);
    }
    return path;
  }

  /// The tokenizer's file.
  Path tokenizer() {
    return required(path.resolve("tokenizer").resolve("tokenizer.json"), "the tokenizer");
  }

  /// The scheduler's configuration.
  Path scheduler() {
    return required(
        path.resolve("scheduler").resolve("scheduler_config.json"), "the scheduler's settings");
  }

  /// The configuration of a component of the pipeline's own, for a file that replaces the component
  /// and has none beside it.
  Path config(String component) {
    return required(
        path.resolve(component).resolve("config.json"), "the " + component + "'s sizes");
  }

  /// What `nibble.json` says, laid over the family's defaults.
  GenerationDefaults defaults(GenerationDefaults family) throws IOException {
    Path file = path.resolve("nibble.json");
    if (!Files.isRegularFile(file)) {
      return family;
    }
    ObjectNode json = JsonFile.object(file);
    for (var property : json.properties()) {
      if (!GenerationDefaults.NAMES.contains(property.getKey())) {
        throw new FormatException(
            Where.in(file),
            "the keys " + String.join(", ", GenerationDefaults.NAMES),
            "'" + property.getKey() + "'");
      }
    }
    return new GenerationDefaults(
        size(file, json, "steps", family.steps()),
        guidance(file, json, family.guidance()),
        size(file, json, "width", family.width()),
        size(file, json, "height", family.height()));
  }

  private static int size(Path file, ObjectNode json, String key, int otherwise) {
    JsonNode value = json.path(key);
    if (value.isMissingNode()) {
      return otherwise;
    }
    if (!value.isInt() || value.intValue() < 1) {
      throw new FormatException(
          Where.in(file), key + " as a number of 1 or more", value.toString());
    }
    return value.intValue();
  }

  private static double guidance(Path file, ObjectNode json, double otherwise) {
    JsonNode value = json.path("guidance");
    if (value.isMissingNode()) {
      return otherwise;
    }
    if (!value.isNumber() || value.doubleValue() < 0) {
      throw new FormatException(
          Where.in(file), "guidance as a number of 0 or more", value.toString());
    }
    return value.doubleValue();
  }

  private static Path required(Path file, String what) {
    if (!Files.isRegularFile(file)) {
      throw missing(file, what);
    }
    return file;
  }

  private static FormatException missing(Path file, String what) {
    return new FormatException(
        Where.in(file), what, "nothing: the download is incomplete; fetch it again");
  }
}
