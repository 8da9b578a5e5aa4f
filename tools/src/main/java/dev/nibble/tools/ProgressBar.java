package dev.nibble.tools;

import dev.nibble.converter.ProgressListener;
import dev.nibble.formats.Text;
import java.util.Locale;

/// How far a conversion is, on a {@link StatusLine}.
final class ProgressBar implements ProgressListener, AutoCloseable {
  private final StatusLine status;

  /// @param quiet show nothing, even on a terminal
  ProgressBar(Session session, boolean quiet) {
    status = new StatusLine(session, quiet);
  }

  @Override
  public void progress(String tensor, long doneBytes, long totalBytes) {
    status.draw((elapsed, blocks) -> line(tensor, doneBytes, totalBytes, elapsed, blocks));
  }

  @Override
  public void scale(String module, int done, int total) {
    status.show("scale of inputs %d/%d: %s".formatted(done + 1, total, Text.printable(module)));
  }

  @Override
  public void stage(Stage stage) {
    status.show(
        switch (stage) {
          case HASHING -> "reading the source";
          case CONVERTING -> "";
          case COMMITTING -> "waiting for the disk";
          case DONE -> "";
        });
  }

  /// The line, at most 79 columns wide.
  static String line(
      String tensor, long doneBytes, long totalBytes, long elapsedNanos, boolean blocks) {
    double part = totalBytes == 0 ? 1 : (double) doneBytes / totalBytes;
    double seconds = Math.max(elapsedNanos, 1) / 1e9;
    return StatusLine.cut(
        String.format(
            Locale.ROOT,
            "%s %.2f GB/s  %s  %s",
            StatusLine.bar(part, blocks),
            doneBytes / seconds / 1e9,
            StatusLine.left(part, elapsedNanos),
            Text.printable(tensor)));
  }

  @Override
  public void close() {
    status.close();
  }
}
