package dev.nibble.runtime.planted;

import dev.nibble.converter.Cancellation;

/// Knows the module beside its own.
public final class Sideways {
  private Sideways() {}

  public static boolean knowsConverter(Cancellation cancellation) {
    return cancellation.isCancelled();
  }
}
