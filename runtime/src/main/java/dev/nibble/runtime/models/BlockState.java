package dev.nibble.runtime.models;

import dev.nibble.runtime.tensor.Tensor;
import java.util.Optional;

/// What flows from block to block of a {@link Trunk}.
///
/// @param hidden the stream that becomes the picture (with the caption behind it in a single-stream
///   model), `[B, T, D]`: what step caches measure
/// @param encoder the text stream of a dual-stream model, `[B, Ttext, D]`
public record BlockState(Tensor hidden, Optional<Tensor> encoder) {
  /// A state of one stream.
  public static BlockState of(Tensor hidden) {
    return new BlockState(hidden, Optional.empty());
  }

  /// A state of two streams.
  public static BlockState of(Tensor hidden, Tensor encoder) {
    return new BlockState(hidden, Optional.of(encoder));
  }
}
