package dev.nibble.tools;

import dev.nibble.formats.NibbleException;
import dev.nibble.runtime.Generation;
import dev.nibble.runtime.GenerationRequest;
import dev.nibble.runtime.Pipeline;
import dev.nibble.runtime.StepListener;

/// Has a pipeline draw for a command.
final class Drawing {
  private Drawing() {}

  /// @throws NibbleException if the request is none for this pipeline, such as by its size
  static Generation draw(
      Pipeline pipeline, GenerationRequest request, StepListener listener, Session session) {
    try {
      return pipeline.generate(request, listener, session.interruption().generation());
    } catch (IllegalArgumentException e) {
      throw new NibbleException(String.valueOf(e.getMessage()), e);
    }
  }
}
