package dev.nibble.converter.algorithm;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.IntConsumer;

/// Independent tasks on a few threads.
final class Workers {
  private Workers() {}

  /// Runs tasks `0..count` and returns when all are done; the first failure, in their order, is
  /// thrown.
  static void run(int count, int threads, IntConsumer task) {
    List<Future<?>> all = new ArrayList<>();
    try (ExecutorService pool = Executors.newFixedThreadPool(Math.clamp(count, 1, threads))) {
      for (int i = 0; i < count; i++) {
        int number = i;
        all.add(pool.submit(() -> task.accept(number)));
      }
    }
    for (Future<?> one : all) {
      try {
        one.get();
      } catch (ExecutionException e) {
        if (e.getCause() instanceof RuntimeException cause) {
          throw cause;
        }
        throw new AssertionError(e);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException("interrupted while it searched", e);
      }
    }
  }
}
