package dev.nibble.runtime.models;

import dev.nibble.runtime.tensor.Ops;

/// Takes a state through a trunk: all of it, or as a step cache decides.
@FunctionalInterface
public interface TrunkRunner {
  /// Runs every block.
  TrunkRunner ALL = (trunk, in, ops) -> trunk.run(0, trunk.blocks(), in, Branches.COMPUTE, ops);

  /// The state after the last block.
  BlockState run(Trunk trunk, BlockState in, Ops ops);
}
