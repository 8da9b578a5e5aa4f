package dev.nibble.tools;

import dev.nibble.converter.ProgressListener;
import dev.nibble.formats.Text;
import java.io.PrintStream;
import java.util.Locale;

/// One line on stderr that shows how far a conversion is: only on a terminal, and erased at the
/// end.
final class ProgressBar implements ProgressListener, AutoCloseable {
  private static final long REDRAW_NANOS = 100_000_000L;
  private static final int COLUMNS = 79;
  private static final int CELLS = 24;

  private final PrintStream err;
  private final boolean shown;
  private final boolean blocks;
  private final long started = System.nanoTime();
  private long drawn;
  private boolean dirty;

  /// @param quiet show nothing, even on a terminal
  ProgressBar(Session session, boolean quiet) {
    this.err = session.err();
    this.shown = session.errTerminal() && !quiet;
    this.blocks = err.charset().newEncoder().canEncode('\u2588');
  }

  @Override
  public synchronized void progress(String tensor, long doneBytes, long totalBytes) {
    long now = System.nanoTime();
    if (shown && (now - drawn >= REDRAW_NANOS)) {
      drawn = now;
      dirty = true;
      err.print("\r\u001b[K" + line(tensor, doneBytes, totalBytes, now - started, blocks));
      err.flush();
    }
  }

  @Override
  public synchronized void stage(Stage stage) {
    String text =
        switch (stage) {
          case HASHING -> "reading the source";
          case CONVERTING -> "";
          case COMMITTING -> "waiting for the disk";
          case DONE -> "";
        };
    if (shown && !text.isEmpty()) {
      dirty = true;
      err.print("\r\u001b[K" + text);
      err.flush();
    }
  }

  /// The line, at most 79 columns wide.
  static String line(
      String tensor, long doneBytes, long totalBytes, long elapsedNanos, boolean blocks) {
    double part = totalBytes == 0 ? 1 : (double) doneBytes / totalBytes;
    int full = (int) (part * CELLS);
    double seconds = Math.max(elapsedNanos, 1) / 1e9;
    String left = doneBytes == 0 ? "-:--" : clock(Math.round(seconds / part - seconds));
    String text =
        String.format(
            Locale.ROOT,
            "%3d%% %s%s %.2f GB/s  %s left  %s",
            (int) (part * 100),
            (blocks ? "\u2588" : "#").repeat(full),
            (blocks ? "\u2591" : ".").repeat(CELLS - full),
            doneBytes / seconds / 1e9,
            left,
            Text.printable(tensor));
    return text.length() > COLUMNS ? text.substring(0, COLUMNS) : text;
  }

  private static String clock(long seconds) {
    return seconds >= 3600
        ? String.format(
            Locale.ROOT, "%d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60)
        : String.format(Locale.ROOT, "%d:%02d", seconds / 60, seconds % 60);
  }

  @Override
  public synchronized void close() {
    if (dirty) {
      err.print("\r\u001b[K");
      err.flush();
    }
  }
}
