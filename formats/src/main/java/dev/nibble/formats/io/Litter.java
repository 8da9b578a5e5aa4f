package dev.nibble.formats.io;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.List;
import java.util.regex.Matcher;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Removal of temporary files, of this run and of earlier ones that were killed.
final class Litter {
  private Litter() {}

  /// Clears away what killed runs left for a target, and puts back a directory that one of them had
  /// moved aside. What a living process holds is left alone, as is all that can't be removed: no
  /// output fails because of old litter.
  static void sweep(Path target) {
    Path parent = target.toAbsolutePath().getParent();
    if (parent == null) {
      return;
    }
    List<Path> entries;
    try (Stream<Path> listing = Files.list(parent)) {
      entries = listing.toList();
    } catch (IOException _) {
      return;
    }
    var locks = TempNames.lockPattern(target);
    for (Path entry : entries) {
      Matcher matcher = locks.matcher(entry.getFileName().toString());
      if (matcher.matches()) {
        sweep(new TempNames(target, matcher.group(1)));
      }
    }
  }

  private static void sweep(TempNames names) {
    // Not even opened: closing any channel on a file gives up all of this process's locks on it.
    if (names.ofThisRun()) {
      return;
    }
    try (FileChannel channel = FileChannel.open(names.lock(), StandardOpenOption.WRITE);
        FileLock lock = channel.tryLock()) {
      if (lock == null) {
        return;
      }
      delete(names.temp());
      if (Files.exists(names.old(), LinkOption.NOFOLLOW_LINKS)) {
        restoreOrDelete(names);
      }
      Files.deleteIfExists(names.lock());
    } catch (IOException _) {
      // Left for the next run.
    }
  }

  private static void restoreOrDelete(TempNames names) throws IOException {
    if (Files.exists(names.target(), LinkOption.NOFOLLOW_LINKS)) {
      delete(names.old());
    } else {
      Files.move(names.old(), names.target(), StandardCopyOption.ATOMIC_MOVE);
    }
  }

  /// Deletes a file, or a directory with all in it; links are deleted, not followed.
  static void delete(Path path) throws IOException {
    if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    Files.walkFileTree(
        path,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Files.delete(file);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path directory, @Nullable IOException failure)
              throws IOException {
            if (failure != null) {
              throw failure;
            }
            Files.delete(directory);
            return FileVisitResult.CONTINUE;
          }
        });
  }
}
