package dev.nibble.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.nibble.formats.Shape;
import org.junit.jupiter.api.Test;

class LatentsTest {
  private static Latents latents(float... values) {
    return new Latents(Shape.of(1, values.length, 1, 1), values);
  }

  @Test
  void errorIsTheMeanOfSquaredDifferences() {
    Latents a = latents(1, -2, 3, 0.5f);
    Latents b = latents(1, 0, 2, 0);
    assertEquals((4 + 1 + 0.25) / 4, a.meanSquaredError(b));
    assertEquals(a.meanSquaredError(b), b.meanSquaredError(a));
    assertEquals(0, a.meanSquaredError(a));
  }

  @Test
  void latentsOfOtherSizesHaveNoError() {
    Latents a = latents(1, 2);
    Latents b = latents(1, 2, 3);
    Goldens.assertSays(
        assertThrows(IllegalArgumentException.class, () -> a.meanSquaredError(b)),
        "1x2x1x1",
        "1x3x1x1");
  }
}
