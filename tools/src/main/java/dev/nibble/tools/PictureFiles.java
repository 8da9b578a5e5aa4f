package dev.nibble.tools;

import dev.nibble.formats.NibbleException;
import dev.nibble.formats.io.PendingOutput;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/// The files that a command will write: found fit before any work begins, filled at its end, and
/// then given their names one right after the other.
///
/// | `-o out.png` and | pictures | sheet |
/// |---|---|---|
/// | | `out.png` | |
/// | `--count 3` | `out-0.png`, `out-1.png`, `out-2.png` | |
/// | `--count 3 --grid` | the same | `out.png` |
final class PictureFiles implements AutoCloseable {
  private static final String ENDING = ".png";

  private final Map<Path, PendingOutput> pending = new LinkedHashMap<>();

  /// Names of the pictures of a request.
  ///
  /// @param output what `-o` names, which ends with `.png`
  static List<Path> names(Path output, int count) {
    if (count == 1) {
      return List.of(output);
    }
    String name = String.valueOf(output.getFileName());
    String stem = name.substring(0, name.length() - ENDING.length());
    String ending = name.substring(stem.length());
    List<Path> names = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      names.add(output.resolveSibling(stem + "-" + i + ending));
    }
    return names;
  }

  static boolean isPng(Path file) {
    return String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT).endsWith(ENDING)
        && String.valueOf(file.getFileName()).length() > ENDING.length();
  }

  /// Reserves places for files.
  ///
  /// @param source a file that is never replaced
  /// @param force replace files that are there
  /// @throws NibbleException naming what stands in the way; nothing is reserved then
  static PictureFiles reserve(List<Path> files, Optional<Path> source, boolean force)
      throws IOException {
    PictureFiles reserved = new PictureFiles();
    try {
      for (Path file : files) {
        reserved.reserve(file, source, force);
      }
      return reserved;
    } catch (IOException | RuntimeException e) {
      reserved.close();
      throw e;
    }
  }

  private void reserve(Path file, Optional<Path> source, boolean force) throws IOException {
    Path folder = file.toAbsolutePath().getParent();
    if (folder == null || !Files.isDirectory(folder)) {
      throw new NibbleException(
          "%s: there is no directory %s: create it first, or choose another -o"
              .formatted(file, file.getParent()));
    }
    if (source.isPresent() && Files.exists(file) && Files.isSameFile(file, source.get())) {
      throw new NibbleException(
          file + ": the output is the input, which is never touched: choose another -o");
    }
    if (pending.containsKey(file)) {
      throw new NibbleException(file + ": two outputs have this name: choose another -o");
    }
    pending.put(file, PendingOutput.file(file, force));
  }

  /// The place to fill for a file that was reserved.
  PendingOutput of(Path file) {
    PendingOutput output = pending.get(file);
    if (output == null) {
      throw new IllegalArgumentException("no place was reserved for " + file);
    }
    return output;
  }

  /// The files, in the order in which they were reserved.
  List<Path> files() {
    return List.copyOf(pending.keySet());
  }

  /// Gives every file its name.
  void commit() throws IOException {
    for (PendingOutput output : pending.values()) {
      output.commit();
    }
  }

  /// Deletes what was not committed.
  @Override
  public void close() {
    pending.values().forEach(PendingOutput::close);
  }
}
