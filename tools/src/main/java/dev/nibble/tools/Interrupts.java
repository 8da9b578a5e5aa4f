package dev.nibble.tools;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/// Ctrl-C and `kill`: cancels what runs and lets it clean up before the process ends. The exit code
/// (130 or 143) is Java's own, by the signal.
final class Interrupts {
  private static final long CLEAN_UP_SECONDS = 60;

  private final Session session;
  private final CountDownLatch ended = new CountDownLatch(1);
  private volatile int exitCode;

  private Interrupts(Session session) {
    this.session = session;
  }

  static Interrupts install(Session session) {
    Interrupts interrupts = new Interrupts(session);
    Runtime.getRuntime().addShutdownHook(new Thread(interrupts::shutDown, "nibble-shutdown"));
    return interrupts;
  }

  /// The command has ended; the process may.
  void ended(int code) {
    exitCode = code;
    ended.countDown();
  }

  private void shutDown() {
    if (ended.getCount() == 0) {
      return;
    }
    session.interruption().begin();
    try {
      if (!ended.await(CLEAN_UP_SECONDS, TimeUnit.SECONDS)) {
        ErrorRenderer.printLine(session, "interrupted; it did not stop in time to clean up");
      } else if (exitCode == 0) {
        ErrorRenderer.printLine(session, "interrupted, but everything was done already");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
