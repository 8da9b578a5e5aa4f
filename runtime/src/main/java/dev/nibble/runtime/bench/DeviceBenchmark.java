package dev.nibble.runtime.bench;

import dev.nibble.runtime.cuda.CudaBackend;
import dev.nibble.runtime.cuda.CudaMeter;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.Random;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.Predicate;

/// Times the operations of a GPU at the shapes of Z-Image, the way to its memory, and a whole
/// denoising step. For one thread; one run.
public final class DeviceBenchmark {
  private static final int SQUARE = 8192;
  private static final int PERIOD = 1 << 18;
  private static final long FILE_BYTES = 2L << 30;

  private final CudaBackend backend;
  private final Predicate<String> wanted;
  private final Consumer<Measurement> listener;
  private final BooleanSupplier cancelled;

  /// @param backend borrowed
  /// @param wanted which operations to time, by their name
  /// @param listener told of each one as it is known
  /// @param cancelled asked between operations; ends the run early
  public DeviceBenchmark(
      CudaBackend backend,
      Predicate<String> wanted,
      Consumer<Measurement> listener,
      BooleanSupplier cancelled) {
    this.backend = backend;
    this.wanted = wanted;
    this.listener = listener;
    this.cancelled = cancelled;
  }

  /// Measures the ceilings, then everything that is wanted.
  public Ceilings run() throws IOException {
    try (CudaMeter meter = new CudaMeter(backend)) {
      Ceilings ceilings = ceilings(meter);
      Sheet sheet = new Sheet(ceilings);
      if (wanted.test("load")) {
        load(meter, ceilings);
      }
      new OperationBenchmark(meter, backend, sheet).run();
      if (sheet.wants("step")) {
        new StepBenchmark(backend).run(sheet);
      }
      return ceilings;
    }
  }

  private static Ceilings ceilings(CudaMeter meter) {
    Tensor numbers = normal(meter.ops(), 512, 1024);
    Optional<Double> products = meter.productRate(SQUARE, numbers);
    meter.ops().release(numbers);
    return new Ceilings(meter.copyRate(), meter.busRate(), products);
  }

  /// Normal numbers in the type of products, `[rows, columns]`.
  static Tensor normal(Ops ops, int rows, int columns) {
    Tensor wide = ops.fromHost(normal(rows * columns), rows, columns);
    Tensor numbers = ops.rmsNorm(wide, Optional.empty(), 1e-6f);
    ops.release(wide);
    return numbers;
  }

  /// Normal numbers, which repeat after a while.
  static float[] normal(int count) {
    Random random = new Random(5);
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = i < PERIOD ? (float) random.nextGaussian() : values[i - PERIOD];
    }
    return values;
  }

  private void load(CudaMeter meter, Ceilings ceilings) throws IOException {
    Path path = Files.createTempFile("nibble-bench", ".bin");
    try (Arena arena = Arena.ofShared();
        FileChannel file =
            FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      ByteBuffer numbers = ByteBuffer.allocateDirect(16 << 20);
      new Random(3).ints(numbers.capacity() / 4).forEach(numbers::putInt);
      for (long at = 0; at < FILE_BYTES; at += numbers.capacity()) {
        numbers.clear();
        while (numbers.hasRemaining()) {
          file.write(numbers);
        }
      }
      MemorySegment mapped = file.map(FileChannel.MapMode.READ_ONLY, 0, FILE_BYTES, arena);
      double rate = meter.uploadRate(mapped);
      listener.accept(
          new Measurement(
              "load 2 GiB of a file",
              FILE_BYTES / rate * 1e6,
              new Measurement.Rate(rate / 1e9, Measurement.Unit.GBPS),
              Optional.of(rate / ceilings.busBytes())));
    } finally {
      Files.delete(path);
    }
  }

  /// Where measurements go.
  final class Sheet {
    private final Ceilings ceilings;

    private Sheet(Ceilings ceilings) {
      this.ceilings = ceilings;
    }

    /// Whether to time an operation.
    boolean wants(String op) {
      return !cancelled.getAsBoolean() && wanted.test(op);
    }

    /// An operation that the device's memory bounds.
    ///
    /// @param bytes that it has to read and write
    void moving(String op, double micros, double bytes) {
      listener.accept(ceilings.moving(op, micros, bytes));
    }

    /// An operation that the tensor cores bound.
    void computing(String op, double micros, double flops) {
      listener.accept(ceilings.computing(op, micros, flops));
    }
  }
}
