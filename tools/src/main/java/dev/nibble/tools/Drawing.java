package dev.nibble.tools;

import dev.nibble.formats.NibbleException;
import dev.nibble.runtime.Generation;
import dev.nibble.runtime.GenerationRequest;
import dev.nibble.runtime.LoadListener;
import dev.nibble.runtime.Pipeline;
import dev.nibble.runtime.PipelineOptions;
import dev.nibble.runtime.StepListener;
import java.io.IOException;
import java.nio.file.Path;

/// Has a pipeline draw for a command.
final class Drawing {
  private Drawing() {}

  /// Opens a pipeline; interrupting the command ends that too.
  static Pipeline open(
      Path directory, PipelineOptions options, LoadListener listener, Session session)
      throws IOException {
    return Pipeline.open(directory, options, listener, session.interruption().generation());
  }

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
