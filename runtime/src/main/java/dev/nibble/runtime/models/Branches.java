package dev.nibble.runtime.models;

import java.util.function.Supplier;

/// Stands between a block and its modules, so that a cache can put a stored output in the place of
/// a computed one.
@FunctionalInterface
public interface Branches {
  /// Computes every module.
  Branches COMPUTE = (_, _, module) -> module.get();

  /// The output of a module: the raw one, before any norm or gate that follows. It belongs to the
  /// region that is open.
  ///
  /// @param block index in the trunk
  /// @param module computes it, in the region that is open
  BlockState output(int block, Branch branch, Supplier<BlockState> module);
}
