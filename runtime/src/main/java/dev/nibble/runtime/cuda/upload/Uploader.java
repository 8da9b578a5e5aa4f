package dev.nibble.runtime.cuda.upload;

import dev.nibble.runtime.cuda.driver.CudaDevice;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;

/// Copies weights from mapped files to a device at the speed of the bus. Several threads copy parts
/// of the files into small pinned buffers, each of which crosses the bus while its neighbour is
/// filled. Thread-safe: uploads wait for each other. Closed before the device.
///
/// Registering the mapping itself saves the copy in the host's memory and is yet slower: the driver
/// registers no faster than the bus copies, and not beside it; see PERFORMANCE-gpu.md.
public final class Uploader implements AutoCloseable {
  /// Bytes of a pinned buffer: the fastest size, and quickly pinned.
  private static final int BUFFER_BYTES = 2 << 20;

  private static final int MOST_THREADS = 12;

  private final CudaDevice device;
  private final int threads;
  private final long bufferBytes;
  private final List<Lane> lanes = new ArrayList<>();

  /// Told of bytes that arrived or are on their way, from any thread, one call at a time.
  @FunctionalInterface
  public interface Progress {
    /// Nobody is told.
    Progress NONE = (_, _) -> {};

    /// @param doneBytes so far
    /// @param totalBytes in all
    void uploaded(long doneBytes, long totalBytes);
  }

  /// With the number and size of buffers that is fastest: 48 MiB of pinned memory at most, from the
  /// first upload until it is closed.
  public Uploader(CudaDevice device) {
    this(
        device,
        Math.clamp(Runtime.getRuntime().availableProcessors(), 1, MOST_THREADS),
        BUFFER_BYTES);
  }

  /// @param threads that copy at once, the calling one among them
  /// @param bufferBytes of each of the two pinned buffers of a thread
  public Uploader(CudaDevice device, int threads, long bufferBytes) {
    if (threads < 1 || bufferBytes < 1) {
      throw new IllegalArgumentException(
          "%d threads with buffers of %d bytes".formatted(threads, bufferBytes));
    }
    this.device = device;
    this.threads = threads;
    this.bufferBytes = bufferBytes;
  }

  /// Copies all pieces; when it returns they have arrived.
  ///
  /// @param cancelled asked again and again
  /// @throws CancellationException if it was cancelled; the targets are undefined then
  public synchronized void upload(
      List<Piece> pieces, Progress progress, BooleanSupplier cancelled) {
    Run run = new Run(Piece.cut(pieces, bufferBytes), progress, cancelled);
    int useful = Math.clamp(run.parts.size(), 1, threads);
    while (lanes.size() < useful) {
      lanes.add(new Lane(device, bufferBytes));
    }
    List<Thread> helpers = new ArrayList<>();
    for (Lane lane : lanes.subList(1, useful)) {
      helpers.add(Thread.ofPlatform().name("nibble-upload").start(() -> run.work(lane)));
    }
    run.work(lanes.getFirst());
    joinAll(helpers);
    run.rethrow();
  }

  /// Waits even if interrupted: a thread that reads memory of the caller's is never left behind.
  private static void joinAll(List<Thread> threads) {
    boolean interrupted = false;
    for (Thread thread : threads) {
      while (thread.isAlive()) {
        try {
          thread.join();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public synchronized void close() {
    lanes.forEach(Lane::close);
    lanes.clear();
  }

  /// One upload; all its threads take parts from it.
  private static final class Run {
    private final List<Piece> parts;
    private final Progress progress;
    private final BooleanSupplier cancelled;
    private final long totalBytes;
    private final AtomicInteger next = new AtomicInteger();
    private final AtomicLong doneBytes = new AtomicLong();
    private final Queue<Throwable> failures = new ConcurrentLinkedQueue<>();

    Run(List<Piece> parts, Progress progress, BooleanSupplier cancelled) {
      this.parts = parts;
      this.progress = progress;
      this.cancelled = cancelled;
      this.totalBytes = parts.stream().mapToLong(Piece::byteSize).sum();
    }

    void work(Lane lane) {
      try {
        try {
          for (int i = next.getAndIncrement();
              i < parts.size() && failures.isEmpty();
              i = next.getAndIncrement()) {
            if (cancelled.getAsBoolean()) {
              throw new CancellationException("the upload was cancelled");
            }
            lane.copy(parts.get(i));
            report(parts.get(i).byteSize());
          }
        } finally {
          lane.drain(); // whatever happened: the targets may be given back
        }
      } catch (Throwable e) {
        failures.add(e);
      }
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
}
