package dev.nibble.runtime;

import dev.nibble.runtime.PipelineOptions.Shortage;
import dev.nibble.runtime.device.OutOfDeviceMemoryException;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/// Lets requests in while a device's memory suffices. What a request needs is known only when it
/// has run, so all are let in at first; one that runs out of memory gives its own back, begins
/// again later, and until it is done no more may run at once than ran beside it.
///
/// A request is a pure function of its seed: begun again, it draws the same pictures.
final class Admission {
  private static final long GLANCE_MILLIS = 50; // at the cancellation of one that waits

  private final Shortage shortage;
  private final ReentrantLock lock = new ReentrantLock(true); // first come, first served
  private final Condition left = lock.newCondition();
  private final Set<Attempt> running = new HashSet<>();
  private int most = Integer.MAX_VALUE;
  private int failedOnce; // requests that ran out of memory and are not done yet

  /// A request that runs; equal to itself only.
  private static final class Attempt {
    private boolean alone = true; // all the time
  }

  Admission(Shortage shortage) {
    this.shortage = shortage;
  }

  /// Runs a request, perhaps later, perhaps again.
  ///
  /// @param request gives back all device memory when it fails
  /// @throws OutOfDeviceMemoryException if it finds no memory, and may not or need not wait
  /// @throws GenerationCancelledException if it was cancelled, or the thread interrupted, while it
  ///   waited
  <T> T run(Supplier<T> request, Cancellation cancellation) {
    boolean failed = false;
    try {
      while (true) {
        Attempt attempt = enter(cancellation);
        try {
          return request.get();
        } catch (OutOfDeviceMemoryException e) {
          if (shortage == Shortage.REFUSE || !isShared(attempt)) {
            throw e;
          }
          lower(failed);
          failed = true;
        } finally {
          leave(attempt);
        }
      }
    } finally {
      if (failed) {
        recovered();
      }
    }
  }

  private Attempt enter(Cancellation cancellation) {
    lock.lock();
    try {
      while (running.size() >= most) {
        if (cancellation.isCancelled()) {
          throw GenerationCancelledException.waiting();
        }
        boolean _ = left.await(GLANCE_MILLIS, TimeUnit.MILLISECONDS);
      }
      Attempt attempt = new Attempt();
      running.add(attempt);
      if (running.size() > 1) {
        running.forEach(each -> each.alone = false);
      }
      return attempt;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw GenerationCancelledException.waiting();
    } finally {
      lock.unlock();
    }
  }

  private boolean isShared(Attempt attempt) {
    lock.lock();
    try {
      return !attempt.alone;
    } finally {
      lock.unlock();
    }
  }

  private void lower(boolean again) {
    lock.lock();
    try {
      most = Math.clamp(running.size() - 1, 1, most);
      failedOnce += again ? 0 : 1;
    } finally {
      lock.unlock();
    }
  }

  private void leave(Attempt attempt) {
    lock.lock();
    try {
      running.remove(attempt);
      left.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private void recovered() {
    lock.lock();
    try {
      failedOnce--;
      if (failedOnce == 0) {
        most = Integer.MAX_VALUE;
      }
      left.signalAll();
    } finally {
      lock.unlock();
    }
  }
}
