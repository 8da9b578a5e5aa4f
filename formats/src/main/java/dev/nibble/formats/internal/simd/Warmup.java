package dev.nibble.formats.internal.simd;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

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
final class Warmup {
  private static final int SHARE_OF_TRIES = 2;

  private final AtomicBoolean trying = new AtomicBoolean();
  private volatile boolean warm;
  private volatile long firstCall;
  private final AtomicLong nanosOfTries = new AtomicLong();

  /// Time of 1,024 units in the fastest scalar call.
  private volatile long scalarSpeed = Long.MAX_VALUE;

  /// Whether the vector twin serves all calls.
  boolean isWarm() {
    return warm;
  }

  /// Whether this call shall try the vector twin; then {@link #tried} must follow.
  boolean shallTry() {
    if (scalarSpeed == Long.MAX_VALUE) {
      firstCall = System.nanoTime();
      return false;
    }
    long elapsed = System.nanoTime() - firstCall;
    return nanosOfTries.get() <= elapsed / SHARE_OF_TRIES && trying.compareAndSet(false, true);
  }

  /// The vector twin was tried.
  ///
  /// @param start {@link System#nanoTime()} before the call
  /// @param units elements or other units of work done
  void tried(long start, long units) {
    long nanos = System.nanoTime() - start;
    warm = nanos * 1024 / Math.max(1, units) < scalarSpeed;
    nanosOfTries.addAndGet(nanos);
    trying.set(false);
  }

  /// The scalar twin ran.
  void ranScalar(long start, long units) {
    long speed = (System.nanoTime() - start) * 1024 / Math.max(1, units);
    if (speed < scalarSpeed) {
      scalarSpeed = Math.max(1, speed);
    }
  }
}
