package dev.nibble.runtime.cpu;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/// Threads that share out the parts of one operation, which take tens of microseconds: so they wait
/// for the next operation with their eyes open for a moment ({@link #SPIN_NANOS}) before they
/// sleep. The caller works too. One operation is shared out at a time; one that comes meanwhile
/// from another session is done by its caller alone, for then all processors are busy anyway.
final class WorkerPool implements AutoCloseable {
  private static final long SPIN_NANOS = 60_000;
  private static final int SPINS_BETWEEN_LOOKS = 32;

  private final Worker[] workers;
  private final AtomicBoolean busy = new AtomicBoolean();
  private volatile Job job = new Job((_, _) -> {}, 0);
  private volatile boolean closed;

  /// A part of an operation.
  @FunctionalInterface
  interface Task {
    /// @param index which part
    /// @param scratch of the thread that runs it
    void run(int index, Scratch scratch);
  }

  /// @param threads callers included: 1 starts none
  WorkerPool(int threads) {
    workers = new Worker[threads - 1];
    for (int i = 0; i < workers.length; i++) {
      workers[i] = new Worker(i);
      workers[i].thread.start();
    }
  }

  /// Threads that work on one operation.
  int threads() {
    return workers.length + 1;
  }

  /// Runs parts `[0, count)` and returns when all are done.
  ///
  /// @param scratch of the calling thread
  void run(int count, Scratch scratch, Task task) {
    if (count <= 1 || workers.length == 0 || !busy.compareAndSet(false, true)) {
      for (int i = 0; i < count; i++) {
        task.run(i, scratch);
      }
      return;
    }
    try {
      Job mine = new Job(task, count);
      job = mine;
      for (int i = 0; i < workers.length && i < count - 1; i++) {
        workers[i].wake();
      }
      mine.work(scratch);
      mine.await();
    } finally {
      busy.set(false);
    }
  }

  @Override
  public void close() {
    closed = true;
    for (Worker worker : workers) {
      LockSupport.unpark(worker.thread);
    }
  }

  /// One operation. A worker that comes late finds no part left and does nothing.
  private static final class Job {
    private final Task task;
    private final int count;
    private final AtomicInteger next = new AtomicInteger();
    private final AtomicInteger done = new AtomicInteger();
    private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();

    Job(Task task, int count) {
      this.task = task;
      this.count = count;
    }

    void work(Scratch scratch) {
      int index;
      while ((index = next.getAndIncrement()) < count) {
        try {
          task.run(index, scratch);
        } catch (Throwable e) {
          failure.compareAndSet(null, e);
        } finally {
          done.incrementAndGet();
        }
      }
    }

    void await() {
      for (int spins = 0; done.get() < count; spins++) {
        if (spins < 10_000) {
          Thread.onSpinWait();
        } else {
          // Another process has the worker's processor.
          LockSupport.parkNanos(this, 10_000);
        }
      }
      Throwable e = failure.get();
      switch (e) {
        case null -> {}
        case RuntimeException runtime -> throw runtime;
        case Error error -> throw error;
        default -> throw new AssertionError(e);
      }
    }
  }

  private final class Worker implements Runnable {
    private final Thread thread;
    private final Scratch scratch = new Scratch();
    private volatile boolean asleep;

    Worker(int index) {
      thread = Thread.ofPlatform().daemon().name("nibble-cpu-" + index).unstarted(this);
    }

    void wake() {
      if (asleep) {
        LockSupport.unpark(thread);
      }
    }

    @Override
    public void run() {
      Job last = job;
      last.work(scratch);
      while (!closed) {
        last = next(last);
        last.work(scratch);
      }
    }

    /// Waits for another operation than `last`, or the end.
    private Job next(Job last) {
      long start = System.nanoTime();
      for (int spins = 1; ; spins++) {
        Job now = job;
        if (now != last || closed) {
          return now;
        }
        if (spins % SPINS_BETWEEN_LOOKS != 0 || System.nanoTime() - start < SPIN_NANOS) {
          Thread.onSpinWait();
          continue;
        }
        asleep = true;
        // Whoever set a job before it could see `asleep` has not woken this thread: look again.
        if (job == last && !closed) {
          LockSupport.park(this);
        }
        asleep = false;
        start = System.nanoTime();
      }
    }
  }
}
