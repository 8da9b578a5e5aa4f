package dev.nibble.formats;

import dev.nibble.formats.diffusers.ModelDirectory;
import dev.nibble.formats.gguf.GgufCheckpoint;
import dev.nibble.formats.internal.MappedFile;
import dev.nibble.formats.safetensors.SafetensorsCheckpoint;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/// Opens checkpoints by what they hold, not by what they are called.
public final class Checkpoints {
  private Checkpoints() {}

  /// Opens a safetensors or GGUF file, the index of a sharded checkpoint, or the weights of a model
  /// directory. The caller closes.
  ///
  /// @throws FormatException if a file is of another format or breaks its format
  /// @throws UnsupportedException for a directory that does not hold exactly one set of weights
  /// @throws IOException if a file is missing or can't be read; its message names the file
  public static Checkpoint open(Path path) throws IOException {
    if (!Files.isDirectory(path)) {
      return kind(path) == FileKind.GGUF
          ? GgufCheckpoint.open(path)
          : SafetensorsCheckpoint.open(path);
    }
    return switch (ModelDirectory.inspect(path)) {
      case ModelDirectory.Model model -> SafetensorsCheckpoint.open(model.weights());
      case ModelDirectory.Pipeline pipeline -> throw pipeline.refusal();
    };
  }

  private static FileKind kind(Path path) throws IOException {
    try (MappedFile file = MappedFile.open(path)) {
      return FileKind.of(file.bytes());
    }
  }
}
