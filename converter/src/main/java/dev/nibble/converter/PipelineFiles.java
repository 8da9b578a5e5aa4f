package dev.nibble.converter;

import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.CheckpointFile;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.diffusers.ModelDirectory;
import dev.nibble.formats.io.IoErrors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.stream.Stream;

/// Collects the files of a pipeline that are copied as they are: settings, tokenizers, components
/// that are kept. Of several forms of the same weights only the one that loaders take is copied.
final class PipelineFiles {
  private final Path pipeline;
  private final SequencedMap<String, Path> files = new LinkedHashMap<>();
  private long bytes;

  PipelineFiles(Path pipeline) {
    this.pipeline = pipeline;
  }

  /// By their path in the target.
  SequencedMap<String, Path> files() {
    return files;
  }

  long bytes() {
    return bytes;
  }

  /// A component with safetensors weights; returns its bytes.
  long addComponent(Path component) throws IOException {
    long before = bytes;
    if (ModelDirectory.inspect(component) instanceof ModelDirectory.Model model) {
      addAll(model.config().stream().toList());
      addAll(model.others());
      if (!model.weights().toString().endsWith(".safetensors")) {
        addAll(List.of(model.weights()));
      }
      try (Checkpoint checkpoint = Checkpoints.open(model.weights())) {
        addAll(checkpoint.files().stream().map(CheckpointFile::path).toList());
      }
    }
    return bytes - before;
  }

  /// Everything in a directory and below that is not hidden.
  void addTree(Path directory) throws IOException {
    try (Stream<Path> entries = Files.walk(directory)) {
      addAll(
          entries
              .filter(Files::isRegularFile)
              .filter(file -> !hidden(directory.relativize(file)))
              .sorted()
              .toList());
    } catch (IOException e) {
      throw IoErrors.at(directory, e);
    }
  }

  private static boolean hidden(Path path) {
    for (Path part : path) {
      if (part.toString().startsWith(".")) {
        return true;
      }
    }
    return false;
  }

  void addAll(List<Path> found) throws IOException {
    for (Path file : found) {
      StringBuilder name = new StringBuilder();
      for (Path part : pipeline.relativize(file)) {
        name.append(name.isEmpty() ? "" : "/").append(part);
      }
      if (files.put(name.toString(), file) == null) {
        bytes += Files.size(file);
      }
    }
  }
}
