package dev.nibble.runtime.cuda.upload;

import dev.nibble.runtime.cuda.driver.CudaDevice;
import dev.nibble.runtime.cuda.driver.CudaStream;
import dev.nibble.runtime.cuda.driver.RegisteredMemory;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;

/// Copies weights from mapped files to a device. Threads take slices of the files in turn; each
/// registers its slice, copies it and unregisters it, so that registering one overlaps copying
/// another. What can't be registered passes through pinned buffers instead. Thread-safe.
public final class Uploader {
  private static final long MIB = 1 << 20;

  private final CudaDevice device;
  private final Options options;

  /// How to upload.
  ///
  /// @param threads that copy at once
  /// @param sliceBytes registered at once by each thread, a multiple of 4,096
  /// @param stagingBytes of each of the two pinned buffers a thread, allocated only if it needs
  ///   them
  /// @param register whether pages are registered where the device can
  public record Options(int threads, long sliceBytes, long stagingBytes, boolean register) {
    public Options {
      if (threads < 1 || sliceBytes < Slice.PAGE || sliceBytes % Slice.PAGE != 0) {
        throw new IllegalArgumentException(
            "%d threads with slices of %d bytes".formatted(threads, sliceBytes));
      }
    }

    /// What was fastest; see PERFORMANCE.md.
    public static Options defaults() {
      int threads = Math.clamp(Runtime.getRuntime().availableProcessors(), 1, 8);
      return new Options(threads, 64 * MIB, 16 * MIB, true);
    }
  }

  /// Told of bytes that arrived, from any thread, one call at a time.
  @FunctionalInterface
  public interface Progress {
    /// Nobody is told.
    Progress NONE = (_, _) -> {};

    /// @param doneBytes so far
    /// @param totalBytes in all
    void uploaded(long doneBytes, long totalBytes);
  }

  public Uploader(CudaDevice device) {
    this(device, Options.defaults());
  }

  public Uploader(CudaDevice device, Options options) {
    this.device = device;
    this.options = options;
  }

  /// Copies all pieces; when it returns they have arrived.
  ///
  /// @param cancelled asked before each slice
  /// @throws CancellationException if it was cancelled; the targets are undefined then
  public void upload(List<Piece> pieces, Progress progress, BooleanSupplier cancelled) {
    Run run = new Run(Slice.of(pieces, options.sliceBytes()), progress, cancelled);
    List<Thread> threads = new ArrayList<>();
    // The calling thread works, too.
    for (int i = 1; i < Math.min(options.threads(), run.slices.size()); i++) {
      threads.add(Thread.ofPlatform().name("nibble-upload-" + i).start(run));
    }
    run.run();
    boolean interrupted = false;
    for (Thread thread : threads) {
      interrupted |= joinFully(thread);
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    run.rethrow();
  }

  /// Whether the wait was interrupted: a thread that copies into memory of the caller's is never
  /// left behind.
  private static boolean joinFully(Thread thread) {
    boolean interrupted = false;
    while (true) {
      try {
        thread.join();
        return interrupted;
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
  }

  /// One upload; its threads all run this.
  private final class Run implements Runnable {
    private final List<Slice> slices;
    private final Progress progress;
    private final BooleanSupplier cancelled;
    private final long totalBytes;
    private final AtomicInteger next = new AtomicInteger();
    private final AtomicLong doneBytes = new AtomicLong();
    private final Queue<Throwable> failures = new ConcurrentLinkedQueue<>();

    Run(List<Slice> slices, Progress progress, BooleanSupplier cancelled) {
      this.slices = slices;
      this.progress = progress;
      this.cancelled = cancelled;
      this.totalBytes = slices.stream().mapToLong(Slice::payload).sum();
    }

    @Override
    public void run() {
      try (CudaStream stream = device.newStream();
          Lane lane = new Lane(stream)) {
        for (int i = next.getAndIncrement(); i < slices.size(); i = next.getAndIncrement()) {
          if (!failures.isEmpty()) {
            return;
          }
          if (cancelled.getAsBoolean()) {
            throw new CancellationException("the upload to %s was cancelled".formatted(name()));
          }
          lane.copy(slices.get(i));
          report(slices.get(i).payload());
        }
      } catch (Throwable e) {
        failures.add(e);
      }
    }

    private String name() {
      return "cuda:" + device.info().ordinal();
    }

    private void report(long bytes) {
      synchronized (progress) {
        progress.uploaded(doneBytes.addAndGet(bytes), totalBytes);
      }
    }

    void rethrow() {
      if (failures.isEmpty()) {
        return;
      }
      Throwable first = failures.remove();
      failures.forEach(first::addSuppressed);
      switch (first) {
        case RuntimeException e -> throw e;
        case Error e -> throw e;
        case Throwable e -> throw new AssertionError(e);
      }
    }
  }

  /// What one thread copies with.
  private final class Lane implements AutoCloseable {
    private final CudaStream stream;
    private Optional<Staging> staging = Optional.empty();

    Lane(CudaStream stream) {
      this.stream = stream;
    }

    void copy(Slice slice) {
      Optional<RegisteredMemory> registered =
          options.register() && slice.isDense()
              ? device.register(slice.address(), slice.bytes())
              : Optional.empty();
      if (registered.isEmpty()) {
        stage(slice);
        return;
      }
      try (RegisteredMemory _ = registered.get()) {
        try {
          slice.pieces().forEach(piece -> stream.copyIn(piece.target(), piece.source()));
        } finally {
          stream.synchronize(); // before the pages are given back, whatever happened
        }
      }
    }

    private void stage(Slice slice) {
      if (staging.isEmpty()) {
        staging = Optional.of(new Staging(device, stream, options.stagingBytes()));
      }
      slice.pieces().forEach(staging.get()::copy);
      staging.get().drain();
    }

    @Override
    public void close() {
      staging.ifPresent(Staging::close);
    }
  }
}
