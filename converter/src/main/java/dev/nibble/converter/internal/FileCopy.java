package dev.nibble.converter.internal;

import dev.nibble.converter.Cancellation;
import dev.nibble.converter.ConversionCancelledException;
import dev.nibble.converter.ProgressListener;
import dev.nibble.formats.io.IoErrors;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/// Copies a file piece by piece, so that it can be stopped between them; the kernel moves the
/// bytes.
final class FileCopy {
  private static final long PIECE = 16L << 20;

  private final ProgressListener listener;
  private final Cancellation cancellation;

  /// @param listener hears of each piece
  FileCopy(ProgressListener listener, Cancellation cancellation) {
    this.listener = listener;
    this.cancellation = cancellation;
  }

  /// @param target a file that does not exist; folders above it are made
  /// @param shown what to call the target in messages
  void copy(Path source, Path target, Path shown) throws IOException {
    try (FileChannel in = open(source)) {
      copy(in, String.valueOf(source.getFileName()), target, shown);
    }
  }

  private void copy(FileChannel in, String name, Path target, Path shown) throws IOException {
    try {
      Path folder = target.getParent();
      if (folder != null) {
        Files.createDirectories(folder);
      }
      long size = in.size();
      try (FileChannel out =
          FileChannel.open(target, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
        long done = 0;
        while (done < size) {
          if (cancellation.isCancelled()) {
            throw new ConversionCancelledException();
          }
          long moved = in.transferTo(done, Math.min(PIECE, size - done), out);
          if (moved == 0) {
            throw new IOException("its source became shorter while it was copied");
          }
          done += moved;
          listener.progress(name, done, size);
        }
      }
    } catch (IOException e) {
      throw IoErrors.at(shown, e);
    }
  }

  private static FileChannel open(Path source) throws IOException {
    try {
      return FileChannel.open(source, StandardOpenOption.READ);
    } catch (IOException e) {
      throw IoErrors.at(source, e);
    }
  }
}
