package dev.nibble.converter.internal;

import dev.nibble.converter.Cancellation;
import dev.nibble.converter.ConversionCancelledException;
import dev.nibble.converter.ProgressListener;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// Runs jobs slice by slice on a fixed number of threads, in the order given, which is the order of
/// the source file: reading stays sequential, and only as many tensors as there are threads are in
/// work.
///
/// A job that surveys its units first is passed over twice. Its second pass waits for the last
/// slices of the first one, for no longer than a slice takes; what waits goes on when something
/// fails.
///
/// The first failure stops all workers at their next slice and is thrown to the caller; so does a
/// cancellation. Workers are never interrupted: an interrupt closes a file channel under its other
/// users.
final class SlicePipeline {
  private final int threads;
  private final ProgressListener listener;
  private final Cancellation cancellation;

  SlicePipeline(int threads, ProgressListener listener, Cancellation cancellation) {
    this.threads = threads;
    this.listener = listener;
    this.cancellation = cancellation;
  }

  /// Returns when every job is finished.
  ///
  /// @throws ConversionCancelledException if it was cancelled
  void run(List<? extends Job> jobs) throws IOException {
    Run run = new Run(jobs);
    List<Thread> workers = new ArrayList<>();
    for (int i = 1; i < threads; i++) {
      workers.add(Thread.ofPlatform().name("nibble-converter-" + i).start(run::work));
    }
    run.work();
    for (Thread worker : workers) {
      joinUninterruptibly(worker);
    }
    run.rethrow();
  }

  private static void joinUninterruptibly(Thread worker) {
    boolean interrupted = false;
    while (true) {
      try {
        worker.join();
        break;
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /// A job with the count of its slices still to do in the pass at hand.
  private record Work(Job job, AtomicLong slicesLeft, boolean survey) {
    static Work of(Job job, boolean survey) {
      long slices = Math.max(1, Math.ceilDiv(job.units(), job.unitsPerSlice()));
      return new Work(job, new AtomicLong(slices), survey);
    }
  }

  private record Slice(Work work, long begin, long count) {}

  private final class Run {
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition surveyed = lock.newCondition();
    private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    private final Iterator<? extends Job> jobs;
    private final long bufferBytes;
    private final long totalBytes;
    private long doneBytes;
    private @Nullable Work current;
    private long next;

    Run(List<? extends Job> jobs) {
      this.jobs = jobs.iterator();
      this.bufferBytes = jobs.stream().mapToLong(Job::bufferBytes).max().orElse(0);
      this.totalBytes = jobs.stream().mapToLong(job -> job.sourceBytes(job.units())).sum();
    }

    void work() {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment buffer = arena.allocate(Math.max(bufferBytes, 1), 64);
        for (Slice slice = take(); slice != null; slice = take()) {
          if (slice.work().survey()) {
            survey(slice, buffer);
          } else {
            run(slice, buffer);
          }
        }
      } catch (Throwable e) { // whatever it is, the caller must hear of it: this thread ends here
        failure.compareAndSet(null, e);
        wakeAll();
      }
    }

    private void survey(Slice slice, MemorySegment buffer) {
      if (slice.count() > 0) {
        slice.work().job().survey(slice.begin(), slice.count(), buffer);
      }
      if (slice.work().slicesLeft().decrementAndGet() == 0) {
        wakeAll();
      }
    }

    private void run(Slice slice, MemorySegment buffer) throws IOException {
      Job job = slice.work().job();
      if (slice.count() > 0) {
        job.run(slice.begin(), slice.count(), buffer);
      }
      if (slice.work().slicesLeft().decrementAndGet() == 0) {
        job.finish();
      }
      report(job, slice.count());
    }

    private void wakeAll() {
      lock.lock();
      try {
        surveyed.signalAll();
      } finally {
        lock.unlock();
      }
    }

    private @Nullable Slice take() {
      lock.lock();
      try {
        if (cancellation.isCancelled()) {
          failure.compareAndSet(null, new ConversionCancelledException());
        }
        return failure.get() == null ? next() : null;
      } finally {
        lock.unlock();
      }
    }

    private @Nullable Slice next() {
      Work work = current();
      if (work == null) {
        return null;
      }
      long begin = next;
      long count = Math.min(work.job().unitsPerSlice(), work.job().units() - begin);
      next = begin + count;
      current = next >= work.job().units() && !work.survey() ? null : work;
      return new Slice(work, begin, count);
    }

    /// The work whose slices are handed out, or null at the end or after a failure. Called with the
    /// lock, which waiting lets go of.
    private @Nullable Work current() {
      Work work = current;
      while (work != null && work.survey() && next >= work.job().units()) {
        if (failure.get() != null) {
          return null;
        }
        if (work.slicesLeft().get() == 0) {
          work = Work.of(work.job(), false);
          next = 0;
          current = work;
        } else {
          surveyed.awaitUninterruptibly();
          work = current;
        }
      }
      if (work == null && jobs.hasNext()) {
        Job job = jobs.next();
        job.start();
        work = Work.of(job, job.surveys());
        next = 0;
      }
      return work;
    }

    private void report(Job job, long units) {
      lock.lock();
      try {
        doneBytes += job.sourceBytes(units);
        listener.progress(job.tensor(), doneBytes, totalBytes);
      } finally {
        lock.unlock();
      }
    }

    void rethrow() throws IOException {
      switch (failure.get()) {
        case null -> {}
        case IOException e -> throw e;
        case RuntimeException e -> throw e;
        case Error e -> throw e;
        case Throwable e -> throw new AssertionError(e);
      }
    }
  }
}
