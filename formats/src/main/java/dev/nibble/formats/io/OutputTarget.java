package dev.nibble.formats.io;

import dev.nibble.formats.NibbleException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.stream.Stream;

/// What may be written where.
final class OutputTarget {
  /// As many links as Linux follows.
  private static final int MAX_LINKS = 40;

  private OutputTarget() {}

  /// The absolute path behind symbolic links: writing to a link writes to what it names.
  static Path resolve(Path asGiven) throws IOException {
    Path target = asGiven.toAbsolutePath();
    for (int links = 0; Files.isSymbolicLink(target); links++) {
      if (links == MAX_LINKS) {
        throw new NibbleException(
            asGiven + ": cannot be written: its symbolic links go in circles");
      }
      target = target.resolveSibling(Files.readSymbolicLink(target));
    }
    Path name = target.getFileName();
    if (name == null || name.toString().equals(".") || name.toString().equals("..")) {
      throw new NibbleException(asGiven + ": cannot be written: give the output a name of its own");
    }
    return target;
  }

  /// Refuses a target below something that is no directory.
  static void requireDirectoryAbove(Path target) {
    Path above = target.getParent();
    while (above != null && !Files.exists(above)) {
      above = above.getParent();
    }
    if (above != null && !Files.isDirectory(above)) {
      throw new NibbleException(
          target + ": cannot be written: " + above + " is a file, not a directory");
    }
  }

  static void requireFree(Path target) {
    if (exists(target)) {
      throw new NibbleException(
          target + ": exists already: give --force to replace it, or choose another output");
    }
  }

  static void requireReplaceableFile(Path target) {
    if (Files.isDirectory(target)) {
      throw new NibbleException(
          target + ": is a directory, but the output is one file: name a file");
    }
  }

  /// A directory is deleted with all in it when it is replaced. So it must look like what we write:
  /// a slip such as `-o . --force` must not cost somebody their home.
  static void requireReplaceableDirectory(Path target) throws IOException {
    if (!exists(target)) {
      return;
    }
    if (!Files.isDirectory(target)) {
      throw new NibbleException(
          target + ": is a file, but the output is a directory: remove it, or choose another name");
    }
    try (Stream<Path> entries = Files.list(target)) {
      var names = entries.map(entry -> entry.getFileName().toString()).toList();
      boolean ours =
          names.isEmpty()
              || names.contains("config.json")
              || names.contains("model_index.json")
              || names.stream().anyMatch(name -> name.endsWith(".safetensors"));
      if (!ours) {
        throw new NibbleException(
            target
                + ": is not replaced even with --force, as it does not look like a model directory:"
                + " remove it yourself, or choose another output");
      }
    }
  }

  static boolean exists(Path path) {
    return Files.exists(path, LinkOption.NOFOLLOW_LINKS);
  }
}
