package dev.nibble.formats.internal.simd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Random;
import org.junit.jupiter.api.Test;

/// Error sums in vectors against one number at a time: the same bits.
final class ErrorKernelTest {
  private static final int COUNT = 4096;

  @Test
  void vectorsSumAsScalarCodeDoes() {
    assumeTrue(Simd.isVector(), "no vectors here, or not wanted");
    for (float scale : new float[] {0.02f, 1e-42f, 1e38f}) {
      float[] x = new float[COUNT];
      float[] decoded = new float[COUNT];
      Random random = new Random(3);
      for (int i = 0; i < COUNT; i++) {
        x[i] = (random.nextFloat() - 0.5f) * scale;
        // Some errors are of another order than the number, some are none.
        decoded[i] = i % 7 == 0 ? x[i] : x[i] * random.nextFloat();
      }
      ErrorLanes expected = new ErrorLanes();
      ErrorLanes actual = new ErrorLanes();
      // Sums go on from call to call, at any multiple of 16.
      for (int count : new int[] {COUNT, 16, 48, 1024}) {
        ErrorKernel.addScalar(x, decoded, count, expected);
        VectorErrors.add(x, decoded, count, actual);
      }
      assertArrayEquals(expected.squares, actual.squares);
      assertArrayEquals(expected.errors, actual.errors);
      assertEquals(expected.max(), actual.max());
    }
  }

  @Test
  void sumsWhatItSays() {
    float[] x = new float[32];
    float[] decoded = new float[32];
    x[3] = 3;
    x[20] = -4;
    decoded[20] = -2;
    ErrorLanes sums = new ErrorLanes();
    ErrorKernel.best().add(x, decoded, 32, sums);
    assertEquals(25, sums.squares());
    assertEquals(13, sums.errors());
    assertEquals(3, sums.max());
    sums.clear();
    assertEquals(0, sums.squares() + sums.errors() + sums.max());
  }
}
