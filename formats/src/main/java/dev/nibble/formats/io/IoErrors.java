package dev.nibble.formats.io;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.Locale;

/// Failures of the file system in one line that a person can act on: Java's own messages often are
/// a bare path, or name no file at all.
public final class IoErrors {
  private IoErrors() {}

  /// The failure with a message of the form `file: reason`; the original is its cause.
  public static IOException at(Path file, IOException failure) {
    return new IOException(file + ": " + reason(failure), failure);
  }

  /// Why an operation failed, in words, with the cure where there is one.
  public static String reason(IOException failure) {
    return switch (failure) {
      case NoSuchFileException _ -> "no such file or directory";
      case AccessDeniedException _ -> "permission denied";
      case NotDirectoryException _ -> "not a directory";
      case FileSystemException e when e.getReason() != null -> known(e.getReason());
      default ->
          failure.getMessage() == null
              ? failure.getClass().getSimpleName()
              : known(failure.getMessage());
    };
  }

  private static String known(String reason) {
    String lower = reason.toLowerCase(Locale.ROOT);
    if (lower.contains("no space left") || lower.contains("not enough space")) {
      return "no space left on the device: free some space, or write elsewhere";
    }
    if (lower.contains("quota exceeded")) {
      return "the disk quota is used up: free some space, or write elsewhere";
    }
    if (lower.contains("file too large")) {
      return "larger than this process or file system lets a file be (see `ulimit -f`)";
    }
    return reason;
  }
}
