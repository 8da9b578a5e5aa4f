package dev.nibble.converter;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.CheckpointFile;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.diffusers.ModelDirectory;
import dev.nibble.formats.diffusers.ModelDirectory.Kind;
import dev.nibble.formats.quant.storage.QuantStorages;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
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
/// @param quantizedBy what has quantized it already, if anything has
record PlanSource(
    Path path,
    Optional<ModelDirectory.Model> directory,
    Optional<ModelConfig> config,
    List<CheckpointFile> files,
    SequencedMap<String, SourceTensor> tensors,
    Map<String, String> metadata,
    Optional<String> quantizedBy) {
  private static final Pattern SHARD = Pattern.compile(".*-(\\d{5})-of-(\\d{5})\\.safetensors");

  /// @throws UnsupportedException for a pipeline directory, naming its components, and for weights
  ///   that are quantized already, unless that is allowed
  /// @throws IOException if something is missing or can't be read
  static PlanSource open(Path path, Optional<Path> namedConfig, boolean allowRequantize)
      throws IOException {
    Optional<ModelDirectory.Model> directory =
        Files.isDirectory(path) ? Optional.of(model(path)) : Optional.empty();
    Optional<Path> configFile =
        namedConfig.or(() -> directory.isPresent() ? directory.get().config() : configBeside(path));
    Optional<ModelConfig> config =
        configFile.isPresent() ? Optional.of(ModelConfig.read(configFile.get())) : Optional.empty();
    Path weights = directory.map(ModelDirectory.Model::weights).orElse(path);
    refuseShard(path);
    try (Checkpoint checkpoint = Checkpoints.open(weights);
        Arena parts = Arena.ofConfined()) {
      Optional<JsonNode> json =
          OpenModel.configuration(path, directory, namedConfig).map(JsonNode.class::cast);
      Optional<String> method = QuantStorages.quantizedBy(checkpoint, json);
      if (method.isPresent() && !allowRequantize) {
        throw quantized(path, method.get());
      }
      SequencedMap<String, SourceTensor> tensors = new LinkedHashMap<>();
      QuantStorages.read(checkpoint, json, parts)
          .forEach((name, tensor) -> tensors.put(name, SourceTensor.of(tensor)));
      return new PlanSource(
          path,
          directory,
          config,
          List.copyOf(checkpoint.files()),
          tensors,
          new LinkedHashMap<>(checkpoint.metadata()),
          method);
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

  private static UnsupportedException quantized(Path path, String method) {
    return new UnsupportedException(
        path.toString(),
        "is quantized already, by "
            + method
            + "; a second quantization adds its own loss: start from the original weights, or give"
            + " --allow-requantize");
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

  /// The same source, its tensors under other names and cut otherwise.
  PlanSource withTensors(SequencedMap<String, SourceTensor> renamed) {
    return new PlanSource(path, directory, config, files, renamed, metadata, quantizedBy);
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

  Collection<SourceTensor> infos() {
    return tensors.values();
  }
}
