package dev.nibble.tools;

import java.io.PrintStream;
import java.util.Locale;

/// One line on stderr that is drawn over again and again: only on a terminal, and erased at the
/// end. Safe for use by several threads.
final class StatusLine implements AutoCloseable {
  private static final long REDRAW_NANOS = 100_000_000L;
  private static final int COLUMNS = 79;
  private static final int CELLS = 24;

  private final PrintStream err;
  private final boolean shown;
  private final boolean blocks;
  private final long started = System.nanoTime();
  private long drawn;
  private boolean dirty;

  /// The line at a time.
  @FunctionalInterface
  interface Content {
    /// @param elapsedNanos since the beginning
    /// @param blocks whether the terminal shows block characters
    String at(long elapsedNanos, boolean blocks);
  }

  /// @param quiet show nothing, even on a terminal
  StatusLine(Session session, boolean quiet) {
    this.err = session.err();
    this.shown = session.errTerminal() && !quiet;
    this.blocks = err.charset().newEncoder().canEncode('\u2588');
  }

  /// Draws the line, unless it was drawn a moment ago.
  synchronized void draw(Content content) {
    long now = System.nanoTime();
    if (shown && now - drawn >= REDRAW_NANOS) {
      drawn = now;
      print(content.at(now - started, blocks));
    }
  }

  /// Draws the line in any case.
  synchronized void show(String text) {
    if (shown && !text.isEmpty()) {
      print(text);
    }
  }

  private void print(String text) {
    dirty = true;
    err.print("\r\u001b[K" + cut(text));
    err.flush();
  }

  /// A text that fits a line of the narrowest terminal.
  static String cut(String text) {
    return text.length() > COLUMNS ? text.substring(0, COLUMNS) : text;
  }

  /// ` 25% ######..................`
  static String bar(double part, boolean blocks) {
    int full = (int) (part * CELLS);
    return String.format(Locale.ROOT, "%3d%% ", (int) (part * 100))
        + (blocks ? "\u2588" : "#").repeat(full)
        + (blocks ? "\u2591" : ".").repeat(CELLS - full);
  }

  /// The time left when a part is done, as a clock shows it.
  static String left(double part, long elapsedNanos) {
    double elapsed = Math.max(elapsedNanos, 1) / 1e9;
    return (part == 0 ? "-:--" : clock(Math.round(elapsed / part - elapsed))) + " left";
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
