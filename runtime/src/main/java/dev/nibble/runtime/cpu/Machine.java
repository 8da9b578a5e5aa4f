package dev.nibble.runtime.cpu;

import dev.nibble.runtime.cpu.simd.Kernels;

/// What operations of one session compute with.
///
/// @param scratch of the session's thread
record Machine(Kernels kernels, WorkerPool workers, BufferPool buffers, Scratch scratch) {
  /// Work of fewer units than this, a unit being about a nanosecond, is not worth sharing out.
  private static final int SHARED = 20_000;

  /// A part of a range.
  @FunctionalInterface
  interface RangeTask {
    void run(int begin, int end);
  }

  /// Runs a task over `[0, count)`, cut in parts if it is long.
  ///
  /// @param cost of one index, in nanoseconds or less
  void overRange(int count, double cost, RangeTask task) {
    double total = count * cost;
    if (total < SHARED || workers.threads() == 1) {
      task.run(0, count);
      return;
    }
    int most = Math.min(count, 4 * workers.threads());
    int parts = Math.min(most, 1 + (int) (total / (SHARED / 4)));
    workers.run(
        parts,
        scratch,
        (i, _) ->
            task.run((int) ((long) count * i / parts), (int) ((long) count * (i + 1) / parts)));
  }
}
