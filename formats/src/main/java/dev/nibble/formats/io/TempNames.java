package dev.nibble.formats.io;

import java.nio.file.Path;
import java.util.HexFormat;
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Pattern;

/// The names of what a pending output keeps beside its target, so that they are recognised later:
/// `.<target>.nibble-<run>-<number>.<role>`.
///
/// @param target where the output will be
/// @param token `<run>-<number>`
record TempNames(Path target, String token) {
  /// Tells this process from others that use the same target, dead or alive.
  private static final String RUN = randomHex();

  static TempNames fresh(Path target) {
    return new TempNames(target, RUN + "-" + randomHex());
  }

  private static String randomHex() {
    return HexFormat.of().toHexDigits(ThreadLocalRandom.current().nextInt());
  }

  /// Matches the names of lock files for a target; group 1 is the token.
  static Pattern lockPattern(Path target) {
    return Pattern.compile(
        Pattern.quote("." + target.getFileName() + ".nibble-")
            + "([0-9a-f]{8}-[0-9a-f]{8})\\.lock");
  }

  boolean ofThisRun() {
    return token.startsWith(RUN);
  }

  /// Held locked for as long as the output is pending.
  Path lock() {
    return role("lock");
  }

  /// The output while it is written.
  Path temp() {
    return role("tmp");
  }

  /// The directory that is being replaced.
  Path old() {
    return role("old");
  }

  private Path role(String role) {
    return target.resolveSibling("." + target.getFileName() + ".nibble-" + token + "." + role);
  }
}
