package dev.nibble.runtime.cache;

import dev.nibble.runtime.models.BlockState;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;

/// Arithmetic on the states of a trunk.
final class Residuals {
  private Residuals() {}

  /// What blocks added to each stream.
  static BlockState between(BlockState before, BlockState after, Ops ops) {
    return new BlockState(
        ops.sub(after.hidden(), before.hidden()),
        after.encoder().flatMap(a -> before.encoder().map(b -> ops.sub(a, b))));
  }

  /// Adds a residual to each stream; a stream that it lacks stays as it is.
  static BlockState add(BlockState state, BlockState residual, Ops ops) {
    return new BlockState(
        ops.add(state.hidden(), residual.hidden()),
        state
            .encoder()
            .map(text -> residual.encoder().map(added -> ops.add(text, added)).orElse(text)));
  }

  /// `mean|now - old| / mean|old|`, over all items of the batch together: a float32 ratio of
  /// float32 means, as the peers compute it before they compare it with a threshold in double
  /// precision.
  static double relativeL1(Tensor old, Tensor now, Ops ops) {
    return ops.meanAbsDifference(now, old) / ops.meanAbs(old);
  }

  /// Hands a state to the surrounding region.
  static BlockState keep(Region region, BlockState state) {
    region.keep(state.hidden());
    state.encoder().ifPresent(region::keep);
    return state;
  }
}
