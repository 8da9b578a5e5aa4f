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
  private static final long FIRST_WARM_UP_NANOS = 3_000_000_000L;
  private static final long NEXT_WARM_UP_NANOS = 1_000_000_000L;

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

  /// Java compiles what runs often while it runs: the first steps of a process are slow, and would
  /// count against whatever is drawn first. One step of a large model takes longer than this.
  ///
  /// @param request what will be drawn; its size is warmed up for
  /// @param first whether nothing was drawn in this process before
  static void warmUp(
      Pipeline pipeline, GenerationRequest request, boolean first, boolean quiet, Session session) {
    GenerationRequest shortest = GenerationRequest.of(request.prompt()).withSteps(1);
    if (request.width().isPresent() && request.height().isPresent()) {
      shortest = shortest.withSize(request.width().getAsInt(), request.height().getAsInt());
    }
    long enough = first ? FIRST_WARM_UP_NANOS : NEXT_WARM_UP_NANOS;
    long start = System.nanoTime();
    try (StepBar bar = new StepBar(session, "warming up", quiet)) {
      do {
        draw(pipeline, shortest, bar, session);
      } while (System.nanoTime() - start < enough);
    }
  }
}
