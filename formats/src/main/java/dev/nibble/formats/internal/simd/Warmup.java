package dev.nibble.formats.internal.simd;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;

/// Decides call by call whether the vector twin of a method runs, until it is compiled for good.
///
/// Until the JIT has compiled it, code of the Vector API allocates an object for each operation and
/// runs a thousandfold slower than scalar code, for seconds: longer than a whole conversion should
/// take. So calls go to the scalar twin at first. Now and then one call, on one thread, tries the
/// vector twin, which is what makes the JIT compile it; from the first try that beats the scalar
/// code on, it serves all calls. Tries may take half of one thread's time since the first call.
///
/// One object serves all users of a method in the process, since being compiled is a fact of the
/// process: this is why kernels keep theirs in static fields.
public final class Warmup {
  private static final int SHARE_OF_TRIES = 2;

  private final AtomicBoolean trying = new AtomicBoolean();
  private volatile boolean warm;
  private volatile long firstCall;
  private final AtomicLong nanosOfTries = new AtomicLong();

  /// Time of 1,024 units in the fastest scalar call.
  private volatile long scalarSpeed = Long.MAX_VALUE;

  /// Whether the vector twin serves all calls.
  public boolean isWarm() {
    return warm;
  }

  /// Runs one twin of a method without result; called until {@link #isWarm()}.
  ///
  /// @param units elements or other units of work in this call
  public void run(long units, Runnable vector, Runnable scalar) {
    boolean tries = shallTry();
    long start = System.nanoTime();
    (tries ? vector : scalar).run();
    ended(tries, System.nanoTime() - start, units);
  }

  /// {@link #run} of a method with a result.
  public <T> T call(long units, Supplier<T> vector, Supplier<T> scalar) {
    boolean tries = shallTry();
    long start = System.nanoTime();
    T result = (tries ? vector : scalar).get();
    ended(tries, System.nanoTime() - start, units);
    return result;
  }

  private boolean shallTry() {
    if (scalarSpeed == Long.MAX_VALUE) {
      firstCall = System.nanoTime();
      return false;
    }
    long elapsed = System.nanoTime() - firstCall;
    return nanosOfTries.get() <= elapsed / SHARE_OF_TRIES && trying.compareAndSet(false, true);
  }

  private void ended(boolean tried, long nanos, long units) {
    long speed = nanos * 1024 / Math.max(1, units);
    if (tried) {
      warm = speed < scalarSpeed;
      nanosOfTries.addAndGet(nanos);
      trying.set(false);
    } else if (speed < scalarSpeed) {
      scalarSpeed = Math.max(1, speed);
    }
  }
}
