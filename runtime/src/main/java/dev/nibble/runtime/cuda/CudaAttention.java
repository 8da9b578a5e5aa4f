package dev.nibble.runtime.cuda;

import dev.nibble.formats.DType;
import dev.nibble.runtime.cuda.driver.Kernel;
import dev.nibble.runtime.cuda.driver.LaunchShape;
import dev.nibble.runtime.tensor.AttentionBias;
import dev.nibble.runtime.tensor.AttentionOptions;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.tensor.shape.KeyRanges;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/// Launches of attention; operands are checked already.
final class CudaAttention implements AutoCloseable {
  /// Far enough for any sequence, and no sum with it overflows.
  private static final int ALL = 1 << 30;

  private static final int MOST_DIM = 512;
  private static final int SHAPE_BYTES = 112;
  private static final int EXACT_ROWS = 8;

  private final CudaSession session;
  private final Launcher launcher;
  private final KernelModules.Attention kernels;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment shape = arena.allocate(SHAPE_BYTES, 8);

  /// Key ranges of the last bias that needed them: layers that share a bias come one after the
  /// other.
  private Optional<Ranges> ranges = Optional.empty();

  /// @param numbers begin and end of each query's keys, int32
  private record Ranges(AttentionBias bias, int batch, int queries, int keys, Tensor numbers) {
    boolean isOf(AttentionBias other, Tensor q, Tensor k) {
      return batch == q.dim(0) && queries == q.dim(1) && keys == k.dim(1) && bias.equals(other);
    }
  }

  /// Keys around query i that it sees: from `i - before` to `i + after`.
  private record Window(int before, int after) {
    static Window of(long before, long after) {
      return new Window(Math.clamp(before, -ALL, ALL), Math.clamp(after, -ALL, ALL));
    }
  }

  CudaAttention(CudaSession session) {
    this.session = session;
    launcher = session.launcher();
    kernels = session.kernels().attention();
  }

  /// @param out of the products' type
  void run(Tensor q, Tensor k, Tensor v, AttentionOptions options, Tensor out) {
    if (out.shape().elements() == 0) {
      return;
    }
    if (Math.max(q.dim(3), v.dim(3)) > MOST_DIM) {
      throw new IllegalArgumentException(
          "attention of q %s and v %s on a GPU: heads have at most %d numbers"
              .formatted(q.shape(), v.shape(), MOST_DIM));
    }
    boolean isWide =
        !session.isExact() && q.dim(3) % Launcher.WIDE == 0 && v.dim(3) % Launcher.WIDE == 0;
    DType type = isWide ? DType.BF16 : DType.F32;
    Tensor result = out.dtype() == type ? out : session.make(type, out.shape());
    Tensor query = session.as(type, q);
    Tensor key = session.as(type, k);
    Tensor value = session.as(type, v);
    Optional<Tensor> dense = dense(options.bias());
    Optional<Tensor> bias = dense.map(b -> session.as(DType.F32, b));
    launch(query, key, value, options, bias, result);
    bias.ifPresent(b -> session.done(b, dense.orElseThrow()));
    session.done(value, v);
    session.done(key, k);
    session.done(query, q);
    if (out.dtype() != type) {
      session.convert(result, out);
      session.memory().release(result);
    }
  }

  private static Optional<Tensor> dense(AttentionBias bias) {
    return bias instanceof AttentionBias.Dense(Tensor numbers)
        ? Optional.of(numbers)
        : Optional.empty();
  }

  private void launch(
      Tensor q, Tensor k, Tensor v, AttentionOptions options, Optional<Tensor> bias, Tensor out) {
    Optional<Tensor> ranges = ranges(options.bias(), q, k);
    write(q, k, v, options, ranges.isPresent());
    launcher
        .begin()
        .address(CudaBuffer.address(out))
        .address(CudaBuffer.address(q))
        .address(CudaBuffer.address(k))
        .address(CudaBuffer.address(v))
        .address(ranges.map(CudaBuffer::address).orElse(0L))
        .address(bias.map(CudaBuffer::address).orElse(0L))
        .struct(shape);
    int dim = Math.max(q.dim(3), v.dim(3));
    if (q.dtype() == DType.F32) {
      run(kernels.f32(), q, EXACT_ROWS, Launcher.THREADS, 0);
    } else {
      KernelModules.Attention.Tile tile = kernels.tile(dim);
      run(tile.kernel(), q, tile.rows(), tile.threads(), tile.sharedBytes());
    }
  }

  private void run(Kernel kernel, Tensor q, int rows, int threads, int sharedBytes) {
    launcher.run(
        kernel,
        LaunchShape.of(Math.ceilDiv(q.dim(1), rows), q.dim(2), q.dim(0), threads)
            .withShared(sharedBytes));
  }

  private Window window(AttentionBias bias, int d) {
    return switch (bias) {
      case AttentionBias.LowerTriangular() -> new Window(ALL, 0);
      case AttentionBias.LowerTriangularFromBottomRight() -> new Window(ALL, d);
      case AttentionBias.LocalFromBottomRight(int left, int right) ->
          Window.of((long) left - d, (long) right + d);
      case AttentionBias.None(),
          AttentionBias.BlockDiagonal _,
          AttentionBias.Dense _,
          AttentionBias.KeyLengths _ ->
          new Window(ALL, ALL);
    };
  }

  /// The ranges of a bias that no window describes, on the device.
  private Optional<Tensor> ranges(AttentionBias bias, Tensor q, Tensor k) {
    return switch (bias) {
      case AttentionBias.None(),
          AttentionBias.LowerTriangular(),
          AttentionBias.LowerTriangularFromBottomRight(),
          AttentionBias.LocalFromBottomRight _ ->
          Optional.empty();
      case AttentionBias.Dense _ -> {
        keyRanges(bias, q, k); // checks its shape
        yield Optional.empty();
      }
      case AttentionBias.BlockDiagonal _, AttentionBias.KeyLengths _ -> {
        if (ranges.isEmpty() || !ranges.get().isOf(bias, q, k)) {
          Ranges fresh = upload(bias, q, k);
          ranges.ifPresent(old -> session.memory().release(old.numbers()));
          ranges = Optional.of(fresh);
        }
        yield ranges.map(Ranges::numbers);
      }
    };
  }

  private static KeyRanges keyRanges(AttentionBias bias, Tensor q, Tensor k) {
    return new KeyRanges(bias, q.dim(0), q.dim(2), q.dim(1), k.dim(1));
  }

  private Ranges upload(AttentionBias bias, Tensor q, Tensor k) {
    KeyRanges keys = keyRanges(bias, q, k);
    int items = bias instanceof AttentionBias.KeyLengths ? q.dim(0) : 1;
    int queries = q.dim(1);
    int[] numbers = new int[items * queries * 2];
    int at = 0;
    for (int item = 0; item < items; item++) {
      for (int query = 0; query < queries; query++) {
        numbers[at++] = keys.begin(item, query);
        numbers[at++] = keys.end(item, query);
      }
    }
    return new Ranges(bias, q.dim(0), queries, k.dim(1), session.uploadForSession(numbers));
  }

  /// Writes `AttentionShape` of `attention/shape.cuh`.
  private void write(Tensor q, Tensor k, Tensor v, AttentionOptions options, boolean hasRanges) {
    Window window = window(options.bias(), k.dim(1) - q.dim(1));
    int[] sizes = {q.dim(0), q.dim(1), k.dim(1), q.dim(2), k.dim(2), q.dim(3), v.dim(3)};
    for (int i = 0; i < sizes.length; i++) {
      shape.setAtIndex(ValueLayout.JAVA_INT, i, sizes[i]);
    }
    float scale = options.scale().orElse((float) (1 / Math.sqrt(q.dim(3))));
    shape.setAtIndex(ValueLayout.JAVA_FLOAT, 7, scale);
    shape.setAtIndex(ValueLayout.JAVA_INT, 8, window.before());
    shape.setAtIndex(ValueLayout.JAVA_INT, 9, window.after());
    boolean perItem = hasRanges && options.bias() instanceof AttentionBias.KeyLengths;
    shape.setAtIndex(ValueLayout.JAVA_LONG, 5, perItem ? q.dim(1) : 0);
    writeStrides(6, q.dim(1), (long) q.dim(2) * q.dim(3));
    writeStrides(8, k.dim(1), (long) k.dim(2) * k.dim(3));
    writeStrides(10, v.dim(1), (long) v.dim(2) * v.dim(3));
    writeStrides(12, q.dim(1), (long) q.dim(2) * v.dim(3));
  }

  private void writeStrides(int index, int tokens, long row) {
    shape.setAtIndex(ValueLayout.JAVA_LONG, index, tokens * row);
    shape.setAtIndex(ValueLayout.JAVA_LONG, index + 1L, row);
  }

  @Override
  public void close() {
    arena.close();
  }
}
