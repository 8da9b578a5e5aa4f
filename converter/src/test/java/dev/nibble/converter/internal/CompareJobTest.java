package dev.nibble.converter.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.quant.QuantError;
import org.junit.jupiter.api.Test;

class CompareJobTest {
  private static QuantError compare(float left, float right) {
    return CompareJob.compare(new float[] {3, left}, new float[] {3, right}, 2);
  }

  @Test
  void sumsInDouble() {
    assertEquals(new QuantError(2, 9 + 16, 4, 2), compare(4, 6));
    assertEquals(new QuantError(2, 9, 0, 0), compare(0f, -0f));
  }

  @Test
  void equalNonNumbersAreNoError() {
    assertEquals(0, compare(Float.NaN, Float.intBitsToFloat(0x7FC12345)).maxError());
    assertEquals(0, compare(Float.NEGATIVE_INFINITY, Float.NEGATIVE_INFINITY).sumSquaredErrors());
  }

  @Test
  void aNumberAgainstNoneIsInfinitelyWrong() {
    for (QuantError error :
        new QuantError[] {
          compare(1, Float.NaN),
          compare(Float.NaN, 1),
          compare(Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY),
          compare(1, Float.POSITIVE_INFINITY)
        }) {
      assertTrue(Double.isInfinite(error.maxError()), error.toString());
      assertEquals(Double.NEGATIVE_INFINITY, error.snrDb());
      assertEquals(Double.POSITIVE_INFINITY, error.relative());
    }
  }

  @Test
  void whatFollowsANonNumberStillCounts() {
    float[] left = {Float.NaN, 1, 2};
    float[] right = {0, 1, 5};
    assertTrue(Double.isInfinite(CompareJob.compare(left, right, 3).sumSquaredErrors()));
  }
}
