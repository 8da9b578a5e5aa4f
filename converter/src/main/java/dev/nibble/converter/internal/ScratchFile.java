package dev.nibble.converter.internal;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/// Memory mapped from a file that has no name any more: it goes with the mapping, also when the
/// process is killed.
final class ScratchFile implements AutoCloseable {
  private final Arena arena = Arena.ofShared();
  private final MemorySegment memory;

  /// @param folder where the file is made
  /// @param byteSize its size; zeros at first
  ScratchFile(Path folder, long byteSize) {
    try {
      Path file = Files.createTempFile(folder, ".nibble-scratch-", ".tmp");
      try (FileChannel channel =
          FileChannel.open(
              file,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE,
              StandardOpenOption.DELETE_ON_CLOSE)) {
        memory = channel.map(FileChannel.MapMode.READ_WRITE, 0, byteSize, arena);
      }
    } catch (IOException e) {
      arena.close();
      throw new UncheckedIOException(e);
    }
  }

  MemorySegment memory() {
    return memory;
  }

  @Override
  public void close() {
    arena.close();
  }
}
