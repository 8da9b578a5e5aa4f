package dev.nibble.converter.linalg;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntConsumer;

/// Threads that share the tasks of one computation after the other.
public final class Workers implements AutoCloseable {
  private final int helpers;
  private final ExecutorService pool;

  /// @param threads that compute, with the caller's
  public Workers(int threads) {
    if (threads < 1) {
      throw new IllegalArgumentException(threads + " threads");
    }
    helpers = threads - 1;
    pool =
        Executors.newCachedThreadPool(
            Thread.ofPlatform().daemon().name("nibble-linalg-", 0).factory());
  }

  /// Runs `task` for all numbers below `count`, in any order, and returns when all are done.
  public void each(int count, IntConsumer task) {
    AtomicInteger next = new AtomicInteger();
    Runnable share =
        () -> {
          for (int i = next.getAndIncrement(); i < count; i = next.getAndIncrement()) {
            task.accept(i);
          }
        };
    List<Future<?>> shares = new ArrayList<>();
    for (int i = 0; i < Math.min(helpers, count - 1); i++) {
      shares.add(pool.submit(share));
    }
    try {
      share.run();
    } finally {
      // Whatever happens, nobody writes to the caller's arrays when this returns.
      next.set(count);
      shares.forEach(Workers::join);
    }
  }

  private static void join(Future<?> share) {
    boolean interrupted = false;
    while (true) {
      try {
        share.get();
        break;
      } catch (InterruptedException e) {
        interrupted = true;
      } catch (ExecutionException e) {
        if (e.getCause() instanceof RuntimeException runtime) {
          throw runtime;
        }
        throw new IllegalStateException(e.getCause());
      } finally {
        if (interrupted) {
          Thread.currentThread().interrupt();
        }
      }
    }
  }

  @Override
  public void close() {
    pool.close();
  }
}
