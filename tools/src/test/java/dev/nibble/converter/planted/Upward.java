package dev.nibble.converter.planted;

import dev.nibble.tools.NibbleMain;

/// Knows a module above its own.
public final class Upward {
  private Upward() {}

  public static int knowsTools() {
    return NibbleMain.run(new String[0], System.out, System.err);
  }
}
