package dev.nibble.runtime.models;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;

/// The stack of blocks of a transformer that step caches may skip, bound to one call (its time, its
/// conditioning).
public interface Trunk {
  /// Number of blocks.
  int blocks();

  /// Output of one block. The input is borrowed.
  BlockState run(int block, BlockState in, Branches branches, Ops ops);

  /// Input of the first block's attention after its norm and modulation, `[B, T, D]`: what TeaCache
  /// compares.
  Tensor modulatedInput(BlockState in, Ops ops);

  /// Output of the blocks `[begin, end)`, one after the other; what lies between is given back.
  /// With no block in the range, the input itself.
  default BlockState run(int begin, int end, BlockState in, Branches branches, Ops ops) {
    BlockState state = in;
    for (int block = begin; block < end; block++) {
      BlockState next;
      try (Region region = ops.region()) {
        next = run(block, state, branches, ops);
        region.keep(next.hidden());
        next.encoder().ifPresent(region::keep);
      }
      if (block > begin) {
        ops.release(state.hidden());
        state.encoder().ifPresent(ops::release);
      }
      state = next;
    }
    return state;
  }
}
