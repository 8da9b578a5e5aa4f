package dev.nibble.runtime;

import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalInt;

/// How to open a pipeline.
///
/// @param transformer directory or file to take the place of the pipeline's own transformer
/// @param vae directory or file to take the place of the pipeline's own autoencoder
/// @param textEncoder directory or file to take the place of the pipeline's own text encoder
/// @param threads threads that compute; all processors if empty
public record PipelineOptions(
    Optional<Path> transformer,
    Optional<Path> vae,
    Optional<Path> textEncoder,
    OptionalInt threads) {
  /// The pipeline as its directory has it, on all processors.
  public static PipelineOptions defaults() {
    return new PipelineOptions(
        Optional.empty(), Optional.empty(), Optional.empty(), OptionalInt.empty());
  }

  /// These options with another transformer.
  public PipelineOptions withTransformer(Path path) {
    return new PipelineOptions(Optional.of(path), vae, textEncoder, threads);
  }

  /// These options with another autoencoder.
  public PipelineOptions withVae(Path path) {
    return new PipelineOptions(transformer, Optional.of(path), textEncoder, threads);
  }

  /// These options with another text encoder.
  public PipelineOptions withTextEncoder(Path path) {
    return new PipelineOptions(transformer, vae, Optional.of(path), threads);
  }

  /// These options with a number of threads.
  public PipelineOptions withThreads(int count) {
    return new PipelineOptions(transformer, vae, textEncoder, OptionalInt.of(count));
  }
}
