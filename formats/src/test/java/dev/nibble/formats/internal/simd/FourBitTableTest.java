package dev.nibble.formats.internal.simd;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Random;
import org.junit.jupiter.api.Test;

/// The search without branches finds the bin that counting bounds finds.
class FourBitTableTest {
  /// As uneven as FP4, with two bounds next to zero, and codes in another order.
  private static final FourBitTable TABLE =
      new FourBitTable(
          new float[] {
            -1f, -0.6667f, -0.5f, -0.3333f, -0.25f, -0.1667f, -0.0052f, 0f, 0f, 0.0052f, 0.1667f,
            0.25f, 0.3333f, 0.5f, 0.6667f, 1f
          },
          new byte[] {11, 10, 13, 12, 15, 14, 9, 8, 0, 1, 6, 7, 4, 5, 2, 3});

  @Test
  void agreesWithTheSearchAroundEveryBound() {
    for (int bin = 0; bin < FourBitTable.BINS - 1; bin++) {
      float value = TABLE.bound(bin) - 20 * Math.ulp(TABLE.bound(bin));
      for (int step = 0; step < 40; step++) {
        assertEquals(TABLE.bin(value), TABLE.binOfNormalized(value), "value " + value);
        value = Math.nextUp(value);
      }
    }
  }

  @Test
  void agreesWithTheSearchEverywhere() {
    Random random = new Random(1);
    for (int i = 0; i < 200_000; i++) {
      float value = random.nextFloat() * 2 - 1;
      assertEquals(TABLE.bin(value), TABLE.binOfNormalized(value), "value " + value);
    }
    for (float value :
        new float[] {-1, 1, 1.0000002f, -1.0000002f, 0, -0f, Float.NaN, Float.MIN_VALUE}) {
      assertEquals(TABLE.bin(value), TABLE.binOfNormalized(value), "value " + value);
    }
  }
}
