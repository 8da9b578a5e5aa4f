package dev.nibble.runtime.cpu;

import dev.nibble.runtime.cpu.simd.Kernels;
import dev.nibble.runtime.tensor.Tensor;
import java.util.Arrays;

/// `C[D, D] += X[M, D]ᵀ · X`, the lower triangle alone: half the work of a product, for the other
/// half mirrors it.
///
/// The kernel of {@link MatMul} does it, with the rows of X as its steps: 64 columns of X lie in a
/// panel as they are, and the columns that meet them are transposed by the thread that needs them.
/// A panel's steps stay in the second-level cache while {@link #MOST_ROWS} rows of C go by, so that
/// memory is read once for that many multiply-adds a number. Every element sums over the rows of X
/// in ascending order, whatever the shapes, the cuts and the number of threads.
final class Gram {
  /// Rows of C of a task: whole tiles, and few enough that their columns of X stay in cache too.
  private static final int MOST_ROWS = 96;

  /// Rows of X at a time: as many reads and writes of C are saved.
  private static final int MOST_STEPS = 1024;

  /// Steps of a product before the next rows of C.
  private static final int STEPS = 512;

  /// The panels of a block have about this many elements at most: 32 MiB.
  private static final int PACKED_ELEMENTS = 8 << 20;

  private final Machine machine;
  private final Kernels kernels;

  Gram(Machine machine) {
    this.machine = machine;
    this.kernels = machine.kernels();
  }

  /// Rows of X that are taken at once, and where they meet C.
  ///
  /// @param x rows `[steps, d]` from `xAt`
  /// @param packed their columns in panels
  /// @param c `[n, d]` from `cAt`, its first row that of feature `begin`
  /// @param taskRows rows of C of a task
  @SuppressWarnings("ArrayRecordComponent") // borrowed for the time of one call
  private record Block(
      float[] x,
      int xAt,
      int steps,
      float[] packed,
      float[] c,
      int cAt,
      int begin,
      int n,
      int d,
      int taskRows) {}

  void add(Tensor sum, int begin, Tensor x) {
    int d = x.dim(-1);
    int n = sum.dim(0);
    int rows = x.elements() / Math.max(1, d);
    if (n == 0 || rows == 0) {
      return;
    }
    int most = Math.clamp(PACKED_ELEMENTS / d, 1, MOST_STEPS);
    int panels = Math.ceilDiv(begin + n, kernels.panel());
    float[] packed =
        machine.buffers().take(Math.multiplyExact(panels * kernels.panel(), Math.min(most, rows)));
    try {
      for (int first = 0; first < rows; first += most) {
        run(
            new Block(
                CpuBuffer.array(x),
                CpuBuffer.offset(x) + first * d,
                Math.min(most, rows - first),
                packed,
                CpuBuffer.array(sum),
                CpuBuffer.offset(sum),
                begin,
                n,
                d,
                taskRows(n)));
      }
    } finally {
      machine.buffers().give(packed);
    }
  }

  /// So many that every thread gets several tasks, for they are of unequal size.
  private int taskRows(int n) {
    int even = Math.ceilDiv(n, 4 * machine.workers().threads());
    return Math.clamp(
        Math.ceilDiv(even, Kernels.TILE) * (long) Kernels.TILE, Kernels.TILE, MOST_ROWS);
  }

  private void run(Block b) {
    int panel = kernels.panel();
    int limit = b.begin + b.n;
    machine.overRange(
        Math.ceilDiv(limit, panel),
        0.1 * panel * b.steps,
        (from, to) -> {
          for (int i = from; i < to; i++) {
            pack(b, i * panel, Math.min(panel, limit - i * panel));
          }
        });
    int tasks = Math.ceilDiv(b.n, b.taskRows);
    // The longest rows first: the last tasks then are short, and threads end together.
    machine
        .workers()
        .run(tasks, machine.scratch(), (task, mine) -> rows(b, tasks - 1 - task, mine));
  }

  /// Columns `[first, first + count)` to their panel.
  private void pack(Block b, int first, int count) {
    int width = padded(count);
    int to = first * b.steps;
    for (int s = 0; s < b.steps; s++) {
      System.arraycopy(b.x, b.xAt + s * b.d + first, b.packed, to + s * width, count);
      Arrays.fill(b.packed, to + s * width + count, to + (s + 1) * width, 0);
    }
  }

  private int padded(int columns) {
    return Math.ceilDiv(columns, kernels.lanes()) * kernels.lanes();
  }

  /// Some rows of C, up to the panel that holds the diagonal's last element.
  private void rows(Block b, int task, Scratch mine) {
    int first = task * b.taskRows;
    int count = Math.min(b.taskRows, b.n - first);
    int tiled = Math.ceilDiv(count, Kernels.TILE) * Kernels.TILE;
    float[] w = mine.weights.get(tiled * b.steps);
    kernels.transpose(b.x, b.xAt + b.begin + first, b.d, b.steps, count, w, 0, b.steps);
    Arrays.fill(w, count * b.steps, tiled * b.steps, 0);
    int panel = kernels.panel();
    float[] sums = mine.sums.get(tiled * panel);
    int limit = b.begin + first + count;
    for (int column = 0; column < limit; column += panel) {
      // As wide as it was packed, which may be beyond these rows' diagonal.
      int height = Math.min(panel, b.begin + b.n - column);
      int width = padded(height);
      int at = b.cAt + first * b.d + column;
      Arrays.fill(sums, 0, tiled * width, 0);
      for (int r = 0; r < count; r++) {
        System.arraycopy(b.c, at + r * b.d, sums, r * width, height);
      }
      for (int step = 0; step < b.steps; step += STEPS) {
        int steps = Math.min(STEPS, b.steps - step);
        for (int r = 0; r < tiled; r += Kernels.TILE) {
          kernels.tile(
              b.packed,
              column * b.steps + step * width,
              width,
              steps,
              w,
              r * b.steps + step,
              b.steps,
              sums,
              r * width);
        }
      }
      for (int r = 0; r < count; r++) {
        System.arraycopy(sums, r * width, b.c, at + r * b.d, height);
      }
    }
  }
}
