package dev.nibble.runtime.calibration;

import dev.nibble.formats.LittleEndian;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/// A whole Hessian of the rows that the passes summed, up to the diagonal each.
final class HessianAssembly {
  private static final ValueLayout.OfFloat FLOAT = LittleEndian.FLOAT;

  /// Rows and columns that are mirrored together, so that both sides stay in cache.
  private static final int TILE = 64;

  private HessianAssembly() {}

  /// @param passes of one run, which together have every row of every Hessian
  /// @return F32 `[features, features]`, symmetric
  static MemorySegment of(String input, int features, List<PassFile> passes, Arena arena) {
    MemorySegment hessian = arena.allocate((long) Float.BYTES * features * features, 64);
    long row = (long) Float.BYTES * features;
    for (PassFile pass : passes) {
      for (PassFile.Slice slice : pass.slices()) {
        if (slice.input().equals(input) && slice.end() > slice.begin()) {
          MemorySegment rows = pass.gram(input);
          MemorySegment.copy(rows, 0, hessian, slice.begin() * row, rows.byteSize());
        }
      }
    }
    for (int i = 0; i < features; i += TILE) {
      for (int j = 0; j <= i; j += TILE) {
        mirror(hessian, features, i, j);
      }
    }
    return hessian;
  }

  /// What is below the diagonal in the tile that begins at row and column.
  private static void mirror(MemorySegment matrix, int features, int row, int column) {
    for (int i = row; i < Math.min(features, row + TILE); i++) {
      for (int j = column; j < Math.min(i, column + TILE); j++) {
        float value = matrix.getAtIndex(FLOAT, (long) i * features + j);
        matrix.setAtIndex(FLOAT, (long) j * features + i, value);
      }
    }
  }
}
