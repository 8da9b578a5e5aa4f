package dev.nibble.runtime;

import dev.nibble.formats.NibbleException;

/// A generation that was cancelled, or whose thread was interrupted.
public final class GenerationCancelledException extends NibbleException {
  private static final long serialVersionUID = 1L;

  GenerationCancelledException(int step, int steps) {
    super("the generation was cancelled before step %d of %d".formatted(step + 1, steps));
  }
}
