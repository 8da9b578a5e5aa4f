package dev.nibble.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;

/// Compares numbers with those of a peer.
public final class Close {
  private Close() {}

  /// Fails unless each is within `atol + rtol · |expected|`, as numpy's `allclose`; both 2e-4.
  public static void assertClose(String what, float[] expected, float[] actual) {
    assertClose(what, expected, actual, 2e-4, 2e-4);
  }

  /// Fails unless each is within `atol + rtol · |expected|`.
  public static void assertClose(
      String what, float[] expected, float[] actual, double rtol, double atol) {
    assertEquals(expected.length, actual.length, what);
    int worst = -1;
    double excess = 0;
    for (int i = 0; i < expected.length; i++) {
      double by = Math.abs((double) expected[i] - actual[i]) - atol - rtol * Math.abs(expected[i]);
      if (!(by <= excess)) {
        excess = by;
        worst = i;
      }
    }
    if (worst >= 0) {
      throw new AssertionError(
          "%s: element %d should be %s, is %s"
              .formatted(what, worst, expected[worst], actual[worst]));
    }
  }
}
