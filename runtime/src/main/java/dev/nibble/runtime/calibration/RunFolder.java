package dev.nibble.runtime.calibration;

import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/// The folder beside an output in which a run keeps where it stands: `pass-1.safetensors` and so
/// on, all but the last of them complete.
record RunFolder(Path path) {
  private static final String PREFIX = "pass-";

  /// The file of a pass, counted from 1.
  Path file(int pass) {
    return path.resolve(PREFIX + pass + ".safetensors");
  }

  /// Passes that a run has begun.
  int passes() {
    int passes = 0;
    while (Files.exists(file(passes + 1))) {
      passes++;
    }
    return passes;
  }

  /// Opens the files of all passes. The caller closes them.
  ///
  /// @param prompts of the whole run
  /// @throws dev.nibble.formats.NibbleException if they are of another run, or damaged
  List<PassFile> open(RunIdentity run, int prompts) throws IOException {
    List<PassFile> files = new ArrayList<>();
    try {
      int passes = passes();
      for (int pass = 1; pass <= passes; pass++) {
        PassFile file = PassFile.open(file(pass), run);
        files.add(file);
        int done = file.prompts();
        if (done < 1 || done > prompts || (pass < passes && done < prompts)) {
          throw new FormatException(
              Where.in(file(pass)),
              "a pass over %d prompts".formatted(prompts),
              "%d of them: --restart drops it and begins anew".formatted(done));
        }
      }
      return files;
    } catch (IOException | RuntimeException e) {
      files.forEach(PassFile::close);
      throw e;
    }
  }

  /// Deletes what a run kept here, what a killed one was writing included, and the folder if it is
  /// empty then.
  void delete() throws IOException {
    if (!Files.isDirectory(path)) {
      return;
    }
    List<Path> entries;
    try (Stream<Path> listing = Files.list(path)) {
      entries = listing.toList();
    }
    boolean isEmpty = true;
    for (Path entry : entries) {
      String name = String.valueOf(entry.getFileName());
      if (name.startsWith(PREFIX) || name.startsWith("." + PREFIX)) {
        Files.delete(entry);
      } else {
        isEmpty = false;
      }
    }
    if (isEmpty) {
      Files.delete(path);
    }
  }
}
