package dev.nibble.runtime.cpu.simd;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// Makes the compiler compile the vector kernels, on a thread of its own beside the first picture.
///
/// Until the JIT has compiled it, code of the Vector API allocates an object for each operation and
/// runs a thousandfold slower than scalar code. So kernels are scalar at first, and this thread
/// calls their vector twins on small made-up data until each beats its scalar twin; from then on it
/// serves all calls. Operations take tens of microseconds here, too short to try a cold kernel in
/// (as `formats` does with its slices of megabytes).
///
/// There is one of these in a process, since being compiled is a fact of the process.
final class KernelWarmup implements Runnable {
  private static final long ROUND_NANOS = 2_000_000;
  private static final long GIVE_UP_NANOS = 60_000_000_000L;

  /// Rows of made-up data, and steps: enough turns of a loop to be worth compiling.
  private static final int STEPS = 96;

  final Heat[] tiles = {new Heat(), new Heat(), new Heat(), new Heat()};
  final Heat transpose = new Heat();
  final Heat softmax = new Heat();
  final Heat dot = new Heat();
  final Heat sum = new Heat();
  final Heat squares = new Heat();
  final Heat silu = new Heat();
  final Heat swiGlu = new Heat();
  final Heat gelu = new Heat();
  final Heat tanh = new Heat();

  /// Whether one kernel is compiled.
  static final class Heat {
    private volatile boolean warm;

    boolean isWarm() {
      return warm;
    }
  }

  private record Trial(Heat heat, Runnable vector, Runnable scalar) {
    /// Runs both for a moment.
    void round() {
      long best = Long.MAX_VALUE;
      for (int i = 0; i < 4; i++) {
        best = Math.min(best, nanos(scalar));
      }
      long start = System.nanoTime();
      do {
        heat.warm = nanos(vector) < best;
      } while (!heat.warm && System.nanoTime() - start < ROUND_NANOS);
    }

    private static long nanos(Runnable kernel) {
      long start = System.nanoTime();
      kernel.run();
      return System.nanoTime() - start;
    }
  }

  /// Starts the thread; it ends by itself.
  void start() {
    Thread.ofPlatform().daemon().name("nibble-warmup").start(this);
  }

  @Override
  public void run() {
    VectorKernels vector = new VectorKernels();
    List<Trial> cold = new ArrayList<>(trials(vector, new ScalarKernels(vector.lanes())));
    long start = System.nanoTime();
    while (!cold.isEmpty() && System.nanoTime() - start < GIVE_UP_NANOS) {
      cold.forEach(Trial::round);
      cold.removeIf(trial -> trial.heat.warm);
    }
  }

  private List<Trial> trials(Kernels vector, Kernels scalar) {
    int panel = vector.panel();
    int lanes = vector.lanes();
    List<Trial> trials = new ArrayList<>();
    float[] x = filled(STEPS * panel);
    float[] w = filled(STEPS * Kernels.TILE);
    float[] out = filled(STEPS * panel);
    for (int width = panel; width > 0; width -= lanes) {
      int columns = width;
      trials.add(
          new Trial(
              tiles[width / lanes - 1],
              () -> vector.tile(x, 0, columns, STEPS, w, 0, STEPS, out, 0),
              () -> scalar.tile(x, 0, columns, STEPS, w, 0, STEPS, out, 0)));
    }
    trials.add(
        new Trial(
            transpose,
            () -> vector.transpose(x, 0, panel, STEPS, panel, out, 0, STEPS),
            () -> scalar.transpose(x, 0, panel, STEPS, panel, out, 0, STEPS)));
    float[] state = filled(3 * panel);
    trials.add(
        new Trial(
            softmax,
            () -> vector.softmax(out, 0, STEPS, panel, state, 0),
            () -> scalar.softmax(out, 0, STEPS, panel, state, 0)));
    int count = x.length;
    trials.add(
        new Trial(
            silu, () -> vector.silu(x, 0, count, out, 0), () -> scalar.silu(x, 0, count, out, 0)));
    trials.add(
        new Trial(
            swiGlu,
            () -> vector.swiGlu(x, 0, x, 0, count, out, 0),
            () -> scalar.swiGlu(x, 0, x, 0, count, out, 0)));
    trials.add(
        new Trial(dot, () -> vector.dot(x, 0, x, 0, count), () -> scalar.dot(x, 0, x, 0, count)));
    trials.add(new Trial(sum, () -> vector.sum(x, 0, count), () -> scalar.sum(x, 0, count)));
    trials.add(
        new Trial(
            squares, () -> vector.squares(x, 0, count, 0), () -> scalar.squares(x, 0, count, 0)));
    trials.add(
        new Trial(
            gelu, () -> vector.gelu(x, 0, count, out, 0), () -> scalar.gelu(x, 0, count, out, 0)));
    trials.add(
        new Trial(
            tanh, () -> vector.tanh(x, 0, count, out, 0), () -> scalar.tanh(x, 0, count, out, 0)));
    return trials;
  }

  private static float[] filled(int size) {
    float[] array = new float[size];
    Arrays.fill(array, 0.01f);
    return array;
  }
}
