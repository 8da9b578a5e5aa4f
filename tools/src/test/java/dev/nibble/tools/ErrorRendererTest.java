package dev.nibble.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.converter.ConversionCancelledException;
import dev.nibble.converter.ConversionException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import org.junit.jupiter.api.Test;

class ErrorRendererTest {
  private static String line(Throwable failure, int code) {
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    PrintStream stream = new PrintStream(err, true, StandardCharsets.UTF_8);
    assertEquals(code, ErrorRenderer.render(failure, Session.plain(stream, stream), false));
    return err.toString(StandardCharsets.UTF_8).stripTrailing();
  }

  @Test
  void knownFailuresAreOneLineWithoutClassNames() {
    assertEquals("error: a/b: no such file or directory", line(new NoSuchFileException("a/b"), 1));
    assertEquals("error: a/b: permission denied", line(new AccessDeniedException("a/b"), 1));
    assertEquals(
        "error: a/b: permission denied",
        line(new UncheckedIOException(new AccessDeniedException("a/b")), 1));
    assertTrue(
        line(new FileSystemException("a", null, "No space left on device"), 1)
            .startsWith("error: a: no space left"));
    assertTrue(line(new IOException("File too large"), 1).contains("ulimit -f"));
    assertEquals(
        "error: interrupted; nothing was written", line(new ConversionCancelledException(), 130));
  }

  @Test
  void faultsOfTheMachineAreExplained() {
    assertTrue(
        line(new InternalError("a fault occurred in an unsafe memory access operation"), 1)
            .startsWith("error: a file that was being read became shorter"));
    assertTrue(line(new OutOfMemoryError("Java heap space"), 1).startsWith("error: out of memory"));
  }

  @Test
  void bugsSaySo() {
    assertTrue(
        line(new IllegalStateException("odd"), 1)
            .startsWith("error: internal error: java.lang.IllegalStateException: odd"));
  }

  @Test
  void controlCharactersNeverReachTheTerminal() {
    assertEquals(
        "error: bad name 'a??[2Jb'", line(new ConversionException("bad name 'a\n\u001b[2Jb'"), 1));
  }
}
