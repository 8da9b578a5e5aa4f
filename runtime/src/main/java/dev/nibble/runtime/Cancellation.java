package dev.nibble.runtime;

import java.util.concurrent.atomic.AtomicBoolean;

/// A wish, from any thread, that a generation ends soon. It ends within a step, by {@link
/// GenerationCancelledException}.
public final class Cancellation {
  private final AtomicBoolean cancelled = new AtomicBoolean();

  /// Asks for the end.
  public void cancel() {
    cancelled.set(true);
  }

  /// Whether the end was asked for.
  public boolean isCancelled() {
    return cancelled.get();
  }
}
