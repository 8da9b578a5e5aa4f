package dev.nibble.formats;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.diffusers.ModelDirectory;
import dev.nibble.formats.diffusers.QuantizationConfig;
import dev.nibble.formats.io.JsonFile;
import dev.nibble.formats.quant.storage.LogicalTensor;
import dev.nibble.formats.quant.storage.QuantStorages;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/// An open checkpoint whose quantized weights are put together from their stored tensors, with the
/// configuration that lies beside it.
///
/// @param checkpoint owned
/// @param parts memory of parts that no tensor of the file holds as they are; owned
/// @param tensors plain tensors and quantized weights by name, in file order
/// @param config the model's `config.json`, if it has one
/// @param directory the model's directory, if one was named
public record OpenModel(
    Checkpoint checkpoint,
    Arena parts,
    Map<String, LogicalTensor> tensors,
    Optional<ObjectNode> config,
    Optional<ModelDirectory.Model> directory)
    implements AutoCloseable {
  private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

  /// Opens a file, an index, or a model directory. The caller closes.
  ///
  /// @throws UnsupportedException for a pipeline directory: name one of its components
  public static OpenModel open(Path path) throws IOException {
    return open(path, Optional.empty());
  }

  /// The same, for a model whose `config.json` may lie elsewhere.
  ///
  /// @param namedConfig instead of the one in the directory or beside the file
  // The record owns the arena, and its close() closes it.
  @SuppressWarnings("MustBeClosedChecker")
  public static OpenModel open(Path path, Optional<Path> namedConfig) throws IOException {
    Optional<ModelDirectory.Model> directory = directory(path);
    Optional<ObjectNode> config = configuration(path, directory, namedConfig);
    Checkpoint checkpoint = Checkpoints.open(path);
    Arena parts = Arena.ofShared();
    try {
      Map<String, LogicalTensor> tensors =
          QuantStorages.read(checkpoint, config.map(JsonNode.class::cast), parts);
      return new OpenModel(checkpoint, parts, tensors, config, directory);
    } catch (Throwable e) {
      parts.close();
      checkpoint.close();
      throw e;
    }
  }

  /// The `config.json` of a model, with what a file of GPTQ beside it says of its weights.
  ///
  /// @param path file, index, or directory
  /// @param directory the same, if it is one
  /// @param namedConfig as of {@link #open(Path, Optional)}
  public static Optional<ObjectNode> configuration(
      Path path, Optional<ModelDirectory.Model> directory, Optional<Path> namedConfig)
      throws IOException {
    return withGptqFile(
        namedConfig.isPresent()
            ? read(namedConfig)
            : directory.isPresent() ? read(directory.get().config()) : besideFile(path),
        directory.isPresent()
            ? path.resolve(QuantizationConfig.GPTQ_FILE)
            : path.resolveSibling(QuantizationConfig.GPTQ_FILE));
  }

  private static Optional<ModelDirectory.Model> directory(Path path) throws IOException {
    if (!Files.isDirectory(path)) {
      return Optional.empty();
    }
    return switch (ModelDirectory.inspect(path)) {
      case ModelDirectory.Model model -> Optional.of(model);
      case ModelDirectory.Pipeline pipeline -> throw pipeline.refusal();
    };
  }

  private static Optional<ObjectNode> besideFile(Path file) throws IOException {
    Path config = file.resolveSibling("config.json");
    return read(Files.isRegularFile(config) ? Optional.of(config) : Optional.empty());
  }

  /// Older tools of GPTQ write its configuration into a file of its own.
  private static Optional<ObjectNode> withGptqFile(Optional<ObjectNode> config, Path file)
      throws IOException {
    if (config.filter(QuantizationConfig::isIn).isPresent() || !Files.isRegularFile(file)) {
      return config;
    }
    ObjectNode quantization = JsonFile.object(file);
    if (!quantization.has("quant_method")) {
      quantization.put("quant_method", "gptq");
    }
    return Optional.of(QuantizationConfig.with(config.orElseGet(JSON::objectNode), quantization));
  }

  private static Optional<ObjectNode> read(Optional<Path> config) throws IOException {
    return config.isEmpty() ? Optional.empty() : Optional.of(JsonFile.object(config.get()));
  }

  @Override
  public void close() {
    parts.close();
    checkpoint.close();
  }
}
