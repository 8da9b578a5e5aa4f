package dev.nibble.tools;

import dev.nibble.runtime.LoadListener;
import dev.nibble.runtime.StepListener;
import dev.nibble.tools.report.ByteSize;

/// How far the loading of a pipeline and a generation are, on a {@link StatusLine}.
final class StepBar implements StepListener, LoadListener, AutoCloseable {
  private final StatusLine status;
  private final String label;
  private int reused;

  /// @param label what is drawn, in a few words, where several things are; may be empty
  /// @param quiet show nothing, even on a terminal
  StepBar(Session session, String label, boolean quiet) {
    status = new StatusLine(session, quiet);
    this.label = label;
    status.show(label.isEmpty() ? "reading the model" : label);
  }

  @Override
  public void loaded(String component, long doneBytes, long totalBytes) {
    status.draw((_, blocks) -> line(component, doneBytes, totalBytes, blocks));
  }

  /// The line while a model is loaded, at most 79 columns wide.
  static String line(String component, long doneBytes, long totalBytes, boolean blocks) {
    double part = totalBytes == 0 ? 1 : (double) doneBytes / totalBytes;
    return StatusLine.cut(
        "%s  loading %s, %s of %s"
            .formatted(
                StatusLine.bar(part, blocks),
                component,
                ByteSize.human(doneBytes),
                ByteSize.human(totalBytes)));
  }

  @Override
  public void step(Progress progress) {
    reused += progress.calls() - progress.computed();
    status.draw((elapsed, blocks) -> line(progress, reused, label, elapsed, blocks));
  }

  /// The line, at most 79 columns wide.
  ///
  /// @param reused calls of the transformer so far that a step cache answered
  static String line(
      Progress progress, int reused, String label, long elapsedNanos, boolean blocks) {
    double done = progress.image() * (double) progress.steps() + progress.step() + 1;
    double part = done / ((double) progress.images() * progress.steps());
    StringBuilder line = new StringBuilder(StatusLine.bar(part, blocks));
    if (!label.isEmpty()) {
      line.append("  ").append(label);
    }
    line.append("  step %d/%d".formatted(progress.step() + 1, progress.steps()));
    if (progress.images() > 1) {
      line.append("  picture %d/%d".formatted(progress.image() + 1, progress.images()));
    }
    line.append("  ").append(StatusLine.left(part, elapsedNanos));
    if (reused > 0) {
      line.append("  ").append(reused).append(" reused");
    }
    return StatusLine.cut(line.toString());
  }

  @Override
  public void close() {
    status.close();
  }
}
