package dev.nibble.formats.diffusers;

import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.io.IoErrors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// What a directory of a model holds, as diffusers and transformers lay them out.
public sealed interface ModelDirectory {
  /// The directory.
  Path path();

  /// How a directory with one model is laid out.
  enum Kind {
    /// `config.json` with `_class_name`.
    DIFFUSERS("diffusion_pytorch_model"),
    /// `config.json` with `architectures` or `model_type`.
    TRANSFORMERS("model"),
    /// No such configuration, but one set of weights.
    BARE("model");

    private final String baseName;

    Kind(String baseName) {
      this.baseName = baseName;
    }

    /// What loaders of this kind want weights to be called, without the ending.
    public String baseName() {
      return baseName;
    }
  }

  /// A pipeline of several models: a directory with `model_index.json`.
  ///
  /// @param components the subdirectories that `model_index.json` names and that hold weights, by
  ///   name
  /// @param settings the other subdirectories that it names: scheduler, tokenizer, weights of other
  ///   formats; by name
  /// @param strangers subdirectories that it does not name
  /// @param others the files beside them that are no weights, `model_index.json` first of all
  record Pipeline(
      Path path,
      List<Path> components,
      List<Path> settings,
      List<Path> strangers,
      List<Path> others)
      implements ModelDirectory {
    public Pipeline {
      components = List.copyOf(components);
      settings = List.copyOf(settings);
      strangers = List.copyOf(strangers);
      others = List.copyOf(others);
    }

    /// Why this directory can't be taken for one model, and which of its parts can.
    public UnsupportedException refusal() {
      String names =
          components.stream()
              .map(component -> component.getFileName().toString())
              .collect(Collectors.joining(", "));
      return new UnsupportedException(
          path.toString(),
          "this is a pipeline of several models: "
              + (components.isEmpty()
                  ? "but no component has weights here; fetch them"
                  : "name one of its components (" + names + ")"));
    }
  }

  /// A directory with one model.
  ///
  /// @param weights the safetensors file or the index of the shards
  /// @param config its `config.json`, if it has one
  /// @param others the other files that belong to the model and are no weights: tokenizer files,
  ///   generation settings, licence; by name
  record Model(Path path, Kind kind, Path weights, Optional<Path> config, List<Path> others)
      implements ModelDirectory {
    public Model {
      others = List.copyOf(others);
    }

    /// What loaders want this model's weights to be called: the file's own base name in a bare
    /// directory.
    public String baseName() {
      return kind == Kind.BARE ? WeightFiles.baseOf(weights) : kind.baseName();
    }
  }

  /// Looks at a directory; reads names and configuration, no weights.
  ///
  /// @throws UnsupportedException if it holds no safetensors weights, or several to choose from
  /// @throws dev.nibble.formats.FormatException if its configuration is broken
  /// @throws IOException if it can't be read; the message names the file
  static ModelDirectory inspect(Path directory) throws IOException {
    List<Path> files = list(directory);
    Path index = directory.resolve("model_index.json");
    if (Files.isRegularFile(index)) {
      return pipeline(directory, files, ConfigFile.keys(index));
    }
    Path configFile = directory.resolve("config.json");
    Optional<Path> config =
        Files.isRegularFile(configFile) ? Optional.of(configFile) : Optional.empty();
    Kind kind = config.isPresent() ? ConfigFile.kind(configFile) : Kind.BARE;
    Path weights = WeightFiles.choose(directory, kind, files);
    return new Model(directory, kind, weights, config, WeightFiles.others(files));
  }

  private static Pipeline pipeline(Path directory, List<Path> entries, Set<String> names)
      throws IOException {
    List<Path> components = new ArrayList<>();
    List<Path> settings = new ArrayList<>();
    List<Path> strangers = new ArrayList<>();
    for (Path entry : entries) {
      String name = entry.getFileName().toString();
      if (Files.isDirectory(entry) && !name.startsWith(".")) {
        List<Path> kind =
            !names.contains(name)
                ? strangers
                : WeightFiles.present(list(entry)) ? components : settings;
        kind.add(entry);
      }
    }
    return new Pipeline(directory, components, settings, strangers, WeightFiles.others(entries));
  }

  private static List<Path> list(Path directory) throws IOException {
    try (Stream<Path> entries = Files.list(directory)) {
      return entries.sorted().toList();
    } catch (IOException e) {
      throw IoErrors.at(directory, e);
    }
  }
}
