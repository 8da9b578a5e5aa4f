package dev.nibble.runtime.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

class LaunchShapeTest {
  @Test
  void coversEveryElement() {
    assertEquals(LaunchShape.of(3, 256), LaunchShape.covering(256 * 4 * 2 + 1, 256, 4));
    assertEquals(LaunchShape.of(2, 256), LaunchShape.covering(256 * 4 * 2, 256, 4));
  }

  @Test
  void refusesWhatNoDeviceRuns() {
    assertThrows(IllegalArgumentException.class, () -> LaunchShape.of(0, 32));
    assertThrows(IllegalArgumentException.class, () -> LaunchShape.of(1, 1025));
    assertThrows(IllegalArgumentException.class, () -> LaunchShape.of(1, 65536, 32));
    assertThrows(ArithmeticException.class, () -> LaunchShape.of(1L << 31, 32));
    assertEquals(
        "no device runs <<<(0, 1, 1), (32, 1, 1), 0>>>",
        assertThrows(IllegalArgumentException.class, () -> LaunchShape.of(0, 32)).getMessage());
  }
}
