package dev.nibble.runtime.cpu;

import dev.nibble.runtime.cpu.simd.Kernels;
import dev.nibble.runtime.tensor.Tensor;
import java.util.Arrays;
import java.util.Optional;

/// `out[M, N] = X[M, K] · W[N, K]ᵀ + bias`, the rows of X coming from a {@link RowPacker}.
///
/// X is transposed into panels of up to 64 rows, so that a vector holds one column of many rows of
/// X and each weight is a scalar that meets them all: weights are used in the order in which they
/// are stored and decoded. Threads share out the rows of W, each decoding those it takes once a
/// block of X; the blocks are so large ({@link #PACKED_ELEMENTS}) that decoding is little work
/// beside the products, and so bounded that scratch memory is. Every sum runs over k in ascending
/// order from the bias on, whatever the shapes and the number of threads.
///
/// With few rows of X that would waste most lanes: then each product is a dot product along K.
final class MatMul {
  /// A block of X has about this many elements: 16 MiB.
  private static final int PACKED_ELEMENTS = 4 << 20;

  /// Rows of W that a task decodes have about this many elements at most, which a second cache
  /// holds.
  private static final int WEIGHT_ELEMENTS = 192 << 10;

  /// Steps of a product before the next rows of W: a panel's part of that length stays in cache.
  private static final int STEPS = 512;

  /// Largest task in rows of W.
  private static final int MOST_ROWS = 48;

  /// Up to this many rows of X go the way of dot products.
  private static final int FEW_ROWS = 4;

  /// Blocks smaller than this are packed by the caller alone, for sharing out costs microseconds.
  private static final int SHARED_PACKING = 1 << 15;

  private final Machine machine;
  private final Kernels kernels;

  /// The left matrix as panels, and whose it is: layers that share an input come one after the
  /// other. A buffer's elements never change while it lives, and a dead one never comes back.
  private float[] packed = new float[0];

  private Optional<Tensor> packedOf = Optional.empty();

  /// Where the rows of X come from.
  @FunctionalInterface
  interface RowPacker {
    /// Writes rows `[first, first + count)` transposed: element `[step][row]` of all K steps to
    /// `panel[at + step * width + row]`.
    void pack(int first, int count, float[] panel, int at, int width);
  }

  /// Sizes of a product, and where its bias comes from and its results go.
  static final class Product {
    private final int m;
    private final int n;
    private final int k;
    private final CpuLinearWeight weight;
    private final float[] bias;
    private final int biasAt;
    private final float[] out;

    /// @param bias empty for none
    /// @param out row-major from its beginning
    Product(int m, CpuLinearWeight weight, float[] bias, int biasAt, float[] out) {
      this.m = m;
      this.n = weight.outFeatures();
      this.k = weight.inFeatures();
      this.weight = weight;
      this.bias = bias;
      this.biasAt = biasAt;
      this.out = out;
    }
  }

  MatMul(Machine machine) {
    this.machine = machine;
    this.kernels = machine.kernels();
  }

  /// Rows that lie in memory as they are.
  void linear(Product p, Tensor x) {
    float[] a = CpuBuffer.array(x);
    int at = CpuBuffer.offset(x);
    if (p.m <= FEW_ROWS) {
      share(p, (task, mine) -> dots(p, a, at, task, mine));
    } else if (packedOf.isPresent() && isSame(packedOf.get(), x, p)) {
      share(p, (task, mine) -> tiles(p, 0, p.m, task, mine));
    } else {
      run(
          p,
          (first, count, panel, to, width) ->
              kernels.transpose(a, at + first * p.k, p.k, count, p.k, panel, to, width));
      packedOf = p.m == blockRows(p.m, p.k) ? Optional.of(x) : Optional.empty();
    }
  }

  private static boolean isSame(Tensor packed, Tensor x, Product p) {
    return CpuBuffer.isSame(packed, x)
        && packed.offset() == x.offset()
        && packed.elements() == x.elements()
        && packed.dim(-1) == p.k;
  }

  /// Rows that are made as they are packed.
  void run(Product p, RowPacker rows) {
    packedOf = Optional.empty();
    int block = blockRows(p.m, p.k);
    reserve(padded(block) * p.k);
    for (int first = 0; first < p.m; first += block) {
      int begin = first;
      int count = Math.min(block, p.m - first);
      pack(p, rows, begin, count);
      share(p, (task, mine) -> tiles(p, begin, count, task, mine));
    }
  }

  /// Gives its memory back.
  void close() {
    packedOf = Optional.empty();
    machine.buffers().give(packed);
    packed = new float[0];
  }

  private void reserve(int size) {
    if (packed.length < size) {
      machine.buffers().give(packed);
      packed = machine.buffers().take(size);
    }
  }

  private void share(Product p, WorkerPool.Task task) {
    machine.workers().run(Math.ceilDiv(p.n, taskRows(p)), machine.scratch(), task);
  }

  private int blockRows(int m, int k) {
    int panel = kernels.panel();
    return Math.min(m, Math.max(panel, PACKED_ELEMENTS / Math.max(1, k) / panel * panel));
  }

  private int padded(int rows) {
    return Math.ceilDiv(rows, kernels.lanes()) * kernels.lanes();
  }

  /// Enough tasks that no thread waits long for another, and rows that fit a cache.
  private int taskRows(Product p) {
    int even = Math.ceilDiv(p.n, 3 * machine.workers().threads());
    int fitting = Math.min(MOST_ROWS, WEIGHT_ELEMENTS / Math.max(1, p.k));
    int tiles = Math.min(even, fitting) / Kernels.TILE;
    return Math.max(1, tiles) * Kernels.TILE;
  }

  private void pack(Product p, RowPacker rows, int begin, int count) {
    int panel = kernels.panel();
    int panels = Math.ceilDiv(count, panel);
    WorkerPool.Task task =
        (i, _) -> {
          int height = Math.min(panel, count - i * panel);
          rows.pack(begin + i * panel, height, packed, i * panel * p.k, padded(height));
        };
    if (count * p.k < SHARED_PACKING) {
      for (int i = 0; i < panels; i++) {
        task.run(i, machine.scratch());
      }
    } else {
      machine.workers().run(panels, machine.scratch(), task);
    }
  }

  /// All rows of the block times some rows of W.
  private void tiles(Product p, int begin, int count, int task, Scratch mine) {
    int size = taskRows(p);
    int n = task * size;
    int rows = Math.min(size, p.n - n);
    int tiledRows = Math.ceilDiv(rows, Kernels.TILE) * Kernels.TILE;
    float[] w = mine.weights.get(tiledRows * p.k);
    p.weight.read(n, rows, w, mine.decode);
    boolean whole = p.k <= STEPS;
    int panel = kernels.panel();
    int sumsOfPanel = tiledRows * panel;
    int panels = Math.ceilDiv(count, panel);
    float[] sums = mine.sums.get(whole ? sumsOfPanel : panels * sumsOfPanel);
    for (int step = 0; step == 0 || step < p.k; step += STEPS) {
      int steps = Math.min(STEPS, p.k - step);
      for (int i = 0; i < panels; i++) {
        int height = Math.min(panel, count - i * panel);
        int width = padded(height);
        int sumsAt = whole ? 0 : i * sumsOfPanel;
        if (step == 0) {
          startSums(p, n, rows, sums, sumsAt, width);
        }
        for (int r = 0; r < rows; r += Kernels.TILE) {
          kernels.tile(
              packed,
              i * panel * p.k + step * width,
              width,
              steps,
              w,
              r * p.k + step,
              p.k,
              sums,
              sumsAt + r * width);
        }
        if (step + steps == p.k) {
          int outAt = (begin + i * panel) * p.n + n;
          kernels.transpose(sums, sumsAt, width, rows, height, p.out, outAt, p.n);
        }
      }
    }
  }

  private static void startSums(Product p, int n, int rows, float[] sums, int at, int width) {
    for (int r = 0; r < rows; r++) {
      float start = p.bias.length == 0 ? 0 : p.bias[p.biasAt + n + r];
      Arrays.fill(sums, at + r * width, at + (r + 1) * width, start);
    }
  }

  private void dots(Product p, float[] x, int at, int task, Scratch mine) {
    int size = taskRows(p);
    int n = task * size;
    int rows = Math.min(size, p.n - n);
    float[] w = mine.weights.get(rows * p.k);
    p.weight.read(n, rows, w, mine.decode);
    for (int i = 0; i < p.m; i++) {
      for (int r = 0; r < rows; r++) {
        float bias = p.bias.length == 0 ? 0 : p.bias[p.biasAt + n + r];
        p.out[i * p.n + n + r] = bias + kernels.dot(x, at + i * p.k, w, r * p.k, p.k);
      }
    }
  }
}
