package dev.nibble.runtime.cache;

import dev.nibble.runtime.models.BlockState;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import java.util.Optional;

/// A state in the session's own memory, which outlives the regions of a step. Holds one value at a
/// time: a new one takes the place of the old.
final class Kept {
  private final Ops session;
  private Optional<BlockState> value = Optional.empty();

  Kept(Ops session) {
    this.session = session;
  }

  /// Copies a state. The old one goes first, so that only one is held at any time.
  void set(BlockState state) {
    clear();
    value =
        Optional.of(
            new BlockState(session.persist(state.hidden()), state.encoder().map(session::persist)));
  }

  /// Copies a tensor.
  void set(Tensor tensor) {
    set(BlockState.of(tensor));
  }

  void clear() {
    value.ifPresent(state -> {
      session.release(state.hidden());
      state.encoder().ifPresent(session::release);
    });
    value = Optional.empty();
  }

  /// The value, borrowed.
  Optional<BlockState> get() {
    return value;
  }

  /// The value's hidden stream, borrowed, where there is one of the same shape as another tensor.
  Optional<Tensor> like(Tensor other) {
    return value.map(BlockState::hidden).filter(tensor -> tensor.shape().equals(other.shape()));
  }
}
