package dev.nibble.formats.internal;

import dev.nibble.formats.io.IoErrors;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/// A whole file mapped read-only. The pages are read when they are touched.
public record MappedFile(Path path, MemorySegment bytes, Arena arena) implements AutoCloseable {
  /// @throws IOException that names the file and the reason
  public static MappedFile open(Path path) throws IOException {
    if (Files.isDirectory(path)) {
      throw new IOException(path + ": is a directory, not a file");
    }
    @SuppressWarnings("MustBeClosedChecker") // given to the MappedFile, which closes it
    Arena arena = Arena.ofShared();
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      var bytes = channel.map(MapMode.READ_ONLY, 0, channel.size(), arena).asReadOnly();
      return new MappedFile(path, bytes, arena);
    } catch (IOException e) {
      arena.close();
      throw IoErrors.at(path, e);
    }
  }

  @Override
  public void close() {
    arena.close();
  }
}
