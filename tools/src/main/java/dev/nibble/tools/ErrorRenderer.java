package dev.nibble.tools;

import dev.nibble.converter.ConversionCancelledException;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.io.IoErrors;
import dev.nibble.runtime.GenerationCancelledException;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import org.jspecify.annotations.Nullable;

/// Turns failures into the last line on stderr, which begins with `error: `, and an exit code. The
/// only place that does.
final class ErrorRenderer {
  static final int FAILED = 1;
  static final int INTERRUPTED = 130;

  private ErrorRenderer() {}

  /// Prints a failure and returns the exit code for it.
  ///
  /// @param debug also print the stack trace, before the line
  static int render(Throwable failure, Session session, boolean debug) {
    PrintStream err = session.err();
    if (debug) {
      failure.printStackTrace(err);
    }
    printLine(session, message(failure));
    return isInterruption(failure) ? INTERRUPTED : FAILED;
  }

  private static boolean isInterruption(Throwable failure) {
    return failure instanceof ConversionCancelledException
        || failure instanceof GenerationCancelledException;
  }

  /// Prints the line `error: message`.
  static void printLine(Session session, String message) {
    session.err().println(session.errStyle().bad("error:") + " " + oneLine(message));
    session.err().flush();
  }

  static String message(Throwable failure) {
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      String known = ofCause(cause);
      if (known != null) {
        return known;
      }
    }
    return "internal error: "
        + failure
        + " (please report this, with what --debug prints in addition)";
  }

  /// The line for a failure that is understood.
  private static @Nullable String ofCause(Throwable cause) {
    return switch (cause) {
      case ConversionCancelledException _, GenerationCancelledException _ ->
          "interrupted; nothing was written";
      case NibbleException e -> e.getMessage();
      case UncheckedIOException e -> null; // its cause tells more
      case FileSystemException e -> ofFile(e);
      case CharacterCodingException e -> "a text file is not valid UTF-8";
      case IOException e -> IoErrors.reason(e);
      case OutOfMemoryError e ->
          "out of memory ("
              + e.getMessage()
              + "): lower --threads, --memory or --size, or give Java more with JAVA_TOOL_OPTIONS=-Xmx2g";
      case InternalError e when isMappedFault(e) ->
          "a file that was being read became shorter or unreadable (truncated by another program,"
              + " or a disk or network fault): check the source and run this again";
      default -> null;
    };
  }

  /// What Java makes of SIGBUS: the mapped file no longer has the page.
  private static boolean isMappedFault(InternalError error) {
    return String.valueOf(error.getMessage()).contains("unsafe memory access");
  }

  private static String ofFile(FileSystemException e) {
    return e.getFile()
        + ": "
        + (e instanceof FileAlreadyExistsException ? "exists already" : IoErrors.reason(e));
  }

  /// Control characters, which names from files and arguments may hold, become `?`.
  private static String oneLine(String message) {
    StringBuilder line = new StringBuilder(message.length());
    message
        .codePoints()
        .forEach(point -> line.appendCodePoint(Character.isISOControl(point) ? '?' : point));
    return line.toString();
  }
}
