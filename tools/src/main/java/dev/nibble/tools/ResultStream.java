package dev.nibble.tools;

import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import org.jspecify.annotations.Nullable;

/// Standard output, buffered. Remembers a failure to write, which a `PrintStream` would swallow: a
/// full disk must not look like success. A reader that has gone away (`nibble inspect x | head`) is
/// no failure.
final class ResultStream extends OutputStream {
  private final FileOutputStream target;
  private final byte[] buffer = new byte[1 << 13];
  private int filled;
  private @Nullable IOException failure;

  ResultStream(FileOutputStream target) {
    this.target = target;
  }

  @Override
  public synchronized void write(int value) {
    if (filled == buffer.length) {
      flush();
    }
    buffer[filled++] = (byte) value;
  }

  @Override
  public synchronized void write(byte[] bytes, int offset, int length) {
    for (int i = 0; i < length; i++) {
      write(bytes[offset + i]);
    }
  }

  @Override
  public synchronized void flush() {
    if (failure == null && filled > 0) {
      try {
        target.write(buffer, 0, filled);
      } catch (IOException e) {
        failure = e;
      }
    }
    filled = 0;
  }

  /// The exit code after a success: 1, with its line, if the results could not be written.
  synchronized int exitCode(Session session) {
    if (failure == null || String.valueOf(failure.getMessage()).contains("Broken pipe")) {
      return 0;
    }
    ErrorRenderer.printLine(session, "standard output: " + failure.getMessage());
    return ErrorRenderer.FAILED;
  }
}
