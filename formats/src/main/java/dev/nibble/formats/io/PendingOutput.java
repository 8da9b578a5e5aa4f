package dev.nibble.formats.io;

import dev.nibble.formats.NibbleException;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;

/// An output file or directory that appears whole under its name, or not at all.
///
/// ```
/// open:    parent directories, .<name>.nibble-<id>.lock, .<name>.nibble-<id>.tmp
/// fill:    path()
/// commit:  fsync; [old directory -> .<name>.nibble-<id>.old;] .tmp -> <name>; fsync; old deleted
/// close:   uncommitted: everything that open made is deleted again
/// ```
///
/// A process that is killed leaves its `.tmp` and `.lock`, never something under the target's name;
/// the next output to the same target removes them, as the lock, which the system gives up with the
/// process, tells the dead from the living. Replacing a directory takes two renames: a kill between
/// them leaves no target but its `.old`, which the next output puts back first.
///
/// Safe for use by several threads: a shutdown hook may {@link #close()} what another thread fills.
public final class PendingOutput implements AutoCloseable {
  private static final int ATTEMPTS = 10;

  private final TempNames names;
  private final boolean directory;
  private final boolean force;
  private final Renamer renamer;
  private final FileChannel lock;

  /// Deepest first.
  private final Deque<Path> createdParents;

  private boolean done;

  /// Renames atomically; a parameter so that tests can make it fail.
  @FunctionalInterface
  interface Renamer {
    void rename(Path from, Path to) throws IOException;

    Renamer SYSTEM = (from, to) -> Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
  }

  private PendingOutput(
      TempNames names,
      boolean directory,
      boolean force,
      Renamer renamer,
      FileChannel lock,
      Deque<Path> createdParents) {
    this.names = names;
    this.directory = directory;
    this.force = force;
    this.renamer = renamer;
    this.lock = lock;
    this.createdParents = createdParents;
  }

  /// Begins a file; {@link #path()} is an empty file to fill. The caller closes.
  ///
  /// @param target where it will appear; a symbolic link is followed
  /// @param force replace a file that is there
  /// @throws NibbleException if the target exists and is not to be replaced, or can't be written
  public static PendingOutput file(Path target, boolean force) {
    return open(target, false, force, Renamer.SYSTEM);
  }

  /// Begins a directory; {@link #path()} is an empty directory to fill. The caller closes.
  ///
  /// @param target where it will appear; a symbolic link is followed
  /// @param force replace a directory that is there, if it looks like a model's
  /// @throws NibbleException if the target exists and is not to be replaced, or can't be written
  public static PendingOutput directory(Path target, boolean force) {
    return open(target, true, force, Renamer.SYSTEM);
  }

  static PendingOutput open(Path asGiven, boolean directory, boolean force, Renamer renamer) {
    try {
      Path target = OutputTarget.resolve(asGiven);
      OutputTarget.requireDirectoryAbove(target);
      Litter.sweep(target);
      if (!force) {
        OutputTarget.requireFree(target);
      } else if (directory) {
        OutputTarget.requireReplaceableDirectory(target);
      } else {
        OutputTarget.requireReplaceableFile(target);
      }
      return create(target, directory, force, renamer);
    } catch (IOException e) {
      throw unwritable(asGiven, e);
    }
  }

  private static NibbleException unwritable(Path target, IOException failure) {
    return new NibbleException(
        target + ": cannot be written: " + IoErrors.reason(failure), failure);
  }

  private static PendingOutput create(
      Path target, boolean directory, boolean force, Renamer renamer) throws IOException {
    Deque<Path> parents = new ArrayDeque<>();
    try {
      createParents(target, parents);
      TempNames names = TempNames.fresh(target);
      Optional<FileChannel> lock = lock(names);
      for (int i = 1; lock.isEmpty() && i < ATTEMPTS; i++) {
        names = TempNames.fresh(target);
        lock = lock(names);
      }
      FileChannel held =
          lock.orElseThrow(() -> new IOException("another process keeps taking the lock files"));
      var output = new PendingOutput(names, directory, force, renamer, held, parents);
      try {
        if (directory) {
          Files.createDirectory(names.temp());
        } else {
          Files.createFile(names.temp());
        }
        return output;
      } catch (IOException e) {
        output.close();
        throw e;
      }
    } catch (IOException e) {
      removeParents(parents);
      throw e;
    }
  }

  private static void createParents(Path target, Deque<Path> created) throws IOException {
    Deque<Path> missing = new ArrayDeque<>();
    Path above = target.getParent();
    while (above != null && !Files.exists(above)) {
      missing.push(above);
      above = above.getParent();
    }
    for (Path parent : missing) {
      try {
        Files.createDirectory(parent);
        created.push(parent);
      } catch (FileAlreadyExistsException _) {
        // Made by somebody else meanwhile, so not ours to remove.
      }
    }
  }

  /// Creates and locks a lock file; nothing if a sweeper of another process got hold of it first.
  private static Optional<FileChannel> lock(TempNames names) throws IOException {
    FileChannel channel =
        FileChannel.open(names.lock(), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    try {
      if (channel.tryLock() != null) {
        return Optional.of(channel);
      }
    } catch (IOException _) {
      // A file system without locks: sweepers can't lock the file either, so they leave it alone.
      return Optional.of(channel);
    }
    channel.close();
    Files.deleteIfExists(names.lock());
    return Optional.empty();
  }

  /// The temporary file or directory to fill, beside the target.
  public Path path() {
    return names.temp();
  }

  /// Where the output will appear: absolute, behind symbolic links.
  public Path target() {
    return names.target();
  }

  /// Makes what was written durable and gives it its name.
  ///
  /// @throws NibbleException if the target came into being meanwhile and is not to be replaced
  /// @throws IOException if it can't be done; the message names the target, what was there before
  ///   is there still
  /// @throws IllegalStateException if it was committed or closed before
  public synchronized void commit() throws IOException {
    if (done) {
      throw new IllegalStateException("the output " + target() + " is committed or closed");
    }
    try {
      if (directory) {
        Durable.tree(path());
      } else {
        Durable.file(path());
      }
      if (!force) {
        OutputTarget.requireFree(target());
      }
      if (directory && OutputTarget.exists(target())) {
        replaceDirectory();
      } else {
        renamer.rename(path(), target());
      }
    } catch (IOException e) {
      throw IoErrors.at(target(), e);
    }
    done = true;
    Durable.entries(parent());
    removeLock();
  }

  private void replaceDirectory() throws IOException {
    renamer.rename(target(), names.old());
    try {
      renamer.rename(path(), target());
    } catch (IOException e) {
      try {
        renamer.rename(names.old(), target());
      } catch (IOException second) {
        e.addSuppressed(second);
        throw new IOException(
            IoErrors.reason(e) + "; what was there before is now " + names.old(), e);
      }
      throw e;
    }
    try {
      Litter.delete(names.old());
    } catch (IOException _) {
      // The new directory stands; without its lock file the old one is litter at worst.
    }
  }

  private Path parent() {
    Path parent = target().getParent();
    return parent == null ? target() : parent;
  }

  /// Deletes what was written, if it was not committed.
  @Override
  public synchronized void close() {
    if (done) {
      return;
    }
    done = true;
    try {
      Litter.delete(path());
    } catch (IOException _) {
      // Whatever led here is the failure to report. The lock file stays, unlocked, as the mark by
      // which the next output to this target finds the rest.
      closeLock();
      return;
    }
    removeLock();
    removeParents(createdParents);
  }

  private void removeLock() {
    try {
      Files.deleteIfExists(names.lock());
    } catch (IOException _) {
      // An empty file that the next output to this target sweeps.
    }
    closeLock();
  }

  private void closeLock() {
    try {
      lock.close();
    } catch (IOException _) {
      // The system gives the lock up with the process.
    }
  }

  private static void removeParents(Deque<Path> created) {
    try {
      for (Path parent : created) {
        Files.deleteIfExists(parent);
      }
    } catch (IOException _) {
      // Somebody else uses it by now.
    }
  }
}
