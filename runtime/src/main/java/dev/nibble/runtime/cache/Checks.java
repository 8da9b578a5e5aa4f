package dev.nibble.runtime.cache;

/// Checks of parameters. The message names the parameter as `--cache` calls it.
final class Checks {
  private Checks() {}

  static void atLeast(String name, double value, double least) {
    check(value >= least, name, SpecWriter.text(least) + " or more", value);
  }

  static void between(String name, double value, double least, double most) {
    check(
        value >= least && value <= most,
        name,
        "from " + SpecWriter.text(least) + " to " + SpecWriter.text(most),
        value);
  }

  private static void check(boolean holds, String name, String wanted, double found) {
    if (!holds) {
      throw new IllegalArgumentException(
          "%s must be %s, not %s".formatted(name, wanted, SpecWriter.text(found)));
    }
  }
}
