package dev.nibble.runtime;

import dev.nibble.formats.NibbleException;

/// A generation that was cancelled, or whose thread was interrupted.
public final class GenerationCancelledException extends NibbleException {
  private static final long serialVersionUID = 1L;

  GenerationCancelledException(int step, int steps) {
    this("the generation was cancelled before step %d of %d".formatted(step + 1, steps));
  }

  private GenerationCancelledException(String message) {
    super(message);
  }

  /// Cancelled before there was a pipeline.
  static GenerationCancelledException loading() {
    return new GenerationCancelledException("the loading of the pipeline was cancelled");
  }

  /// Cancelled before it had begun.
  static GenerationCancelledException waiting() {
    return new GenerationCancelledException(
        "the generation was cancelled while it waited for memory of the device");
  }
}
