package dev.nibble.converter.linalg;

/// The rows of a matrix, wherever they come from. Safe for many threads.
@FunctionalInterface
public interface Rows {
  /// Reads one row to `target` from `at`.
  void read(int row, float[] target, int at);
}
