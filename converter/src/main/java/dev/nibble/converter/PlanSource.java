package dev.nibble.converter;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.CheckpointFile;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.diffusers.ModelDirectory;
import dev.nibble.formats.diffusers.ModelDirectory.Kind;
import dev.nibble.formats.quant.storage.QuantStorages;
import dev.nibble.formats.safetensors.SafetensorsCheckpoint;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// The source of a conversion: its headers and its configuration. Holds nothing open.
///
/// @param path as the request says it
/// @param directory the model directory, if the source is one
/// @param config the configuration: of the request, of the directory, or beside the file
/// @param files the weight files
/// @param tensors in file order
/// @param metadata string metadata of the files
record PlanSource(
    Path path,
    Optional<ModelDirectory.Model> directory,
    Optional<ModelConfig> config,
    List<CheckpointFile> files,
    Map<String, TensorInfo> tensors,
    Map<String, String> metadata) {
  private static final Pattern SHARD = Pattern.compile(".*-(\\d{5})-of-(\\d{5})\\.safetensors");

  /// @throws UnsupportedException for a pipeline directory, naming its components, and for weights
  ///   that are quantized already
  /// @throws IOException if something is missing or can't be read
  static PlanSource open(Path path, Optional<Path> namedConfig) throws IOException {
    Optional<ModelDirectory.Model> directory =
        Files.isDirectory(path) ? Optional.of(model(path)) : Optional.empty();
    Optional<Path> configFile =
        namedConfig.or(() -> directory.isPresent() ? directory.get().config() : configBeside(path));
    Optional<ModelConfig> config =
        configFile.isPresent() ? Optional.of(ModelConfig.read(configFile.get())) : Optional.empty();
    Path weights = directory.map(ModelDirectory.Model::weights).orElse(path);
    refuseShard(path);
    try (Checkpoint checkpoint = SafetensorsCheckpoint.open(weights)) {
      refuseQuantized(path, checkpoint, config);
      return new PlanSource(
          path,
          directory,
          config,
          List.copyOf(checkpoint.files()),
          new LinkedHashMap<>(checkpoint.tensors()),
          new LinkedHashMap<>(checkpoint.metadata()));
    }
  }

  private static void refuseShard(Path path) {
    Matcher shard = SHARD.matcher(String.valueOf(path.getFileName()));
    if (shard.matches() && Integer.parseInt(shard.group(2)) > 1) {
      throw new UnsupportedException(
          path.toString(),
          "is shard %d of %d: name the directory, or the .safetensors.index.json, to convert the whole model"
              .formatted(Integer.parseInt(shard.group(1)), Integer.parseInt(shard.group(2))));
    }
  }

  private static void refuseQuantized(
      Path path, Checkpoint checkpoint, Optional<ModelConfig> config) {
    QuantStorages.quantizedBy(checkpoint, config.map(known -> (JsonNode) known.json()))
        .ifPresent(method -> {
          throw new UnsupportedException(
              path.toString(),
              "is quantized already, by "
                  + method
                  + "; a second quantization would only add its own loss: start from the"
                  + " original weights");
        });
  }

  private static ModelDirectory.Model model(Path path) throws IOException {
    return switch (ModelDirectory.inspect(path)) {
      case ModelDirectory.Model model -> model;
      case ModelDirectory.Pipeline pipeline -> throw pipeline.refusal();
    };
  }

  private static Optional<Path> configBeside(Path file) {
    Path beside = file.resolveSibling("config.json");
    return Files.isRegularFile(beside) ? Optional.of(beside) : Optional.empty();
  }

  /// In messages.
  String label() {
    return path.toString();
  }

  /// Whose loader opens a directory with this configuration.
  Kind kind() {
    return config.map(ModelConfig::kind).orElse(Kind.BARE);
  }

  Optional<String> className() {
    return config.flatMap(ModelConfig::className);
  }

  Set<String> names() {
    return tensors.keySet();
  }

  Collection<TensorInfo> infos() {
    return tensors.values();
  }
}
