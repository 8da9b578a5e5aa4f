package dev.nibble.runtime;

import dev.nibble.formats.UnsupportedException;
import java.io.IOException;
import java.nio.file.Path;

/// A text-to-image pipeline, opened from a diffusers directory whose components may be dense or
/// quantized. Thread-safe: any number of threads may generate at once; each request has a session
/// of its own. Holds mapped files and threads until closed.
@SuppressWarnings({"UnusedMethod", "DoNotCallSuggester"}) // until its parts are here
public final class Pipeline implements AutoCloseable {
  private final GenerationDefaults defaults;

  private Pipeline(GenerationDefaults defaults) {
    this.defaults = defaults;
  }

  /// Opens a directory with a `model_index.json`.
  ///
  /// @throws dev.nibble.formats.FormatException if a file is damaged or missing: names it
  /// @throws UnsupportedException if the pipeline is of a kind that nibble doesn't run
  public static Pipeline open(Path directory, PipelineOptions options) throws IOException {
    throw new UnsupportedException(directory.toString(), "not built yet");
  }

  /// What a request that names nothing else gets.
  public GenerationDefaults defaults() {
    return defaults;
  }

  /// Draws the pictures of a request.
  public Generation generate(GenerationRequest request) {
    return generate(request, StepListener.NONE, new Cancellation());
  }

  /// Draws the pictures of a request.
  ///
  /// @param listener told of each step
  /// @param cancellation may end it early
  /// @throws GenerationCancelledException if it did, or the thread was interrupted
  public Generation generate(
      GenerationRequest request, StepListener listener, Cancellation cancellation) {
    throw new UnsupportedException(request.prompt(), "not built yet");
  }

  /// Frees all that the pipeline holds; call when no generation runs.
  @Override
  public void close() {}
}
