package dev.nibble.runtime.planted;

import dev.nibble.converter.Cancellation;
import jcuda.Pointer;

/// Knows the module beside its own, and the binding that only the driver's package may know.
public final class Sideways {
  private Sideways() {}

  public static boolean knowsConverter(Cancellation cancellation) {
    return cancellation.isCancelled();
  }

  public static Pointer knowsBinding() {
    return new Pointer();
  }
}
