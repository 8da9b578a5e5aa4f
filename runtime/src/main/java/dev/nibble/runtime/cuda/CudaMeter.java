package dev.nibble.runtime.cuda;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.runtime.cuda.cublas.CublasLt;
import dev.nibble.runtime.cuda.cublas.Product;
import dev.nibble.runtime.cuda.driver.CudaEvent;
import dev.nibble.runtime.cuda.driver.CudaGraph;
import dev.nibble.runtime.cuda.driver.CudaStream;
import dev.nibble.runtime.cuda.driver.PinnedBuffer;
import dev.nibble.runtime.cuda.upload.Piece;
import dev.nibble.runtime.cuda.upload.Uploader;
import dev.nibble.runtime.device.DeviceArena;
import dev.nibble.runtime.device.DeviceBuffer;
import dev.nibble.runtime.tensor.LinearWeight;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.IntConsumer;

/// Times what a {@link CudaBackend} does, and the ceilings of its device, by the device's own
/// clock. For one thread; closed before the backend.
public final class CudaMeter implements AutoCloseable {
  private static final long MIB = 1 << 20;
  private static final int TIMES = 9;

  private final CudaBackend backend;
  private final DeviceArena arena;
  private final CudaOps ops;

  public CudaMeter(CudaBackend backend) {
    this.backend = backend;
    arena = backend.device().arena("meter", Long.MAX_VALUE);
    ops = (CudaOps) backend.newOps("meter");
  }

  /// The operations whose stream is timed.
  public Ops ops() {
    return ops;
  }

  /// Waits for all of their work.
  public void synchronize() {
    stream().synchronize();
  }

  private CudaStream stream() {
    return ops.session().launcher().stream();
  }

  /// Microseconds of one of several like pieces of work, run back to back: the median of several
  /// runs of a recording, so that neither the host's time counts nor what the last run left in the
  /// cache.
  ///
  /// @param work the i-th piece: operations of {@link #ops} that leave nothing behind and do not
  ///   wait
  public double micros(int pieces, IntConsumer work) {
    Runnable all =
        () -> {
          for (int i = 0; i < pieces; i++) {
            work.accept(i);
          }
        };
    all.run(); // outside the recording: memory is taken, algorithms are chosen
    synchronize();
    try (CudaGraph graph = stream().capture(all)) {
      stream().launch(graph);
      return 1e3 * median(() -> stream().launch(graph)) / pieces;
    }
  }

  private double median(Runnable work) {
    double[] millis = new double[TIMES];
    try (CudaEvent begin = backend.device().newEvent();
        CudaEvent end = backend.device().newEvent()) {
      for (int i = 0; i < TIMES; i++) {
        stream().record(begin);
        work.run();
        stream().record(end);
        end.synchronize();
        millis[i] = end.millisSince(begin);
      }
    }
    Arrays.sort(millis);
    return millis[TIMES / 2];
  }

  /// Decodes a whole weight into the type of products, as a product of many rows does first.
  public void decode(LinearWeight weight) {
    CudaLinearWeight mine = CudaLinearWeight.of(weight);
    Tensor slab = ops.session().make(ops.session().product(), Shape.of(mine.elements()));
    ops.products().decode(mine, 0, mine.elements(), slab, 0);
    ops.release(slab);
  }

  /// Bytes read and written a second when the driver copies on the device.
  public double copyRate() {
    long bytes = Math.min(2048 * MIB, backend.freeDeviceBytes() / 4 / MIB * MIB);
    try (DeviceBuffer one = arena.allocate("copy", bytes);
        DeviceBuffer two = arena.allocate("copy", bytes)) {
      stream().fill(one.address(), (byte) 0x35, bytes);
      double millis = median(() -> stream().copy(two.address(), one.address(), bytes));
      return 2 * bytes / millis * 1e3;
    }
  }

  /// Bytes a second from pinned memory of the host.
  public double busRate() {
    long bytes = 256 * MIB;
    try (DeviceBuffer target = arena.allocate("bus", bytes);
        PinnedBuffer host = backend.device().newPinned(bytes)) {
      return bytes / median(() -> stream().copyIn(target.address(), host.segment())) * 1e3;
    }
  }

  /// Bytes a second from a mapped file, the fastest of several passes: pages that the system had
  /// not at hand are there then.
  public double uploadRate(MemorySegment file) {
    try (DeviceBuffer target = arena.allocate("upload", file.byteSize());
        Uploader uploader = new Uploader(backend.device())) {
      Piece piece = new Piece(file, target.address());
      double best = 0;
      for (int i = 0; i < 5; i++) {
        long begin = System.nanoTime();
        uploader.upload(List.of(piece), Uploader.Progress.NONE, () -> false);
        best = Math.max(best, file.byteSize() / ((System.nanoTime() - begin) / 1e9));
      }
      return best;
    }
  }

  /// Operations a second of a bfloat16 product of cuBLASLt; empty where it is not installed.
  ///
  /// @param size of both square matrices; filled with a tensor's numbers, for zeros take less power
  public Optional<Double> productRate(int size, Tensor numbers) {
    if (backend.blas().isEmpty()) {
      return Optional.empty();
    }
    CublasLt library = backend.blas().get();
    Product product = new Product(size, size, size, Product.Type.BF16, Product.Type.BF16, false);
    long bytes = 2L * size * size;
    try (DeviceBuffer a = arena.allocate("A", bytes);
        DeviceBuffer b = arena.allocate("B", bytes);
        DeviceBuffer c = arena.allocate("C", bytes);
        DeviceBuffer workspace = arena.allocate("workspace", CublasLt.WORKSPACE_BYTES)) {
      repeat(numbers, a);
      repeat(numbers, b);
      double micros =
          micros(
              10,
              _ ->
                  library.multiply(
                      stream(),
                      product,
                      a.address(),
                      b.address(),
                      c.address(),
                      0,
                      workspace.address()));
      return Optional.of(product.flops() / micros * 1e6);
    }
  }

  private void repeat(Tensor numbers, DeviceBuffer target) {
    if (numbers.dtype() != DType.BF16) {
      throw new IllegalArgumentException("numbers of " + numbers.dtype() + ", not BF16");
    }
    long size = 2L * numbers.shape().elements();
    for (long at = 0; at < target.byteSize(); at += size) {
      long bytes = Math.min(size, target.byteSize() - at);
      stream().copy(target.address() + at, CudaBuffer.address(numbers), bytes);
    }
  }

  @Override
  public void close() {
    ops.close();
    arena.close();
  }
}
