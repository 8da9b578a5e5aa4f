package dev.nibble.converter;

/// Asks a running conversion to stop. It then throws {@link ConversionCancelledException} after it
/// has removed what it had written. Threads are not interrupted: an interrupt would close the files
/// under their other users.
public final class Cancellation {
  private volatile boolean cancelled;

  public void cancel() {
    cancelled = true;
  }

  public boolean isCancelled() {
    return cancelled;
  }
}
