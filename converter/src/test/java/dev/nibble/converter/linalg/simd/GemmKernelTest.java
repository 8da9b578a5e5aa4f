package dev.nibble.converter.linalg.simd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Random;
import org.junit.jupiter.api.Test;

class GemmKernelTest {
  private static float[] numbers(int count, Random random) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  /// Bit for bit, since both fuse and neither changes the order.
  @Test
  void vectorsAgreeWithTheScalarTwin() {
    Random random = new Random(5);
    GemmKernel vector = new VectorGemm();
    GemmKernel scalar = new ScalarGemm(vector.width());
    for (int rows = 0; rows < 20; rows++) {
      for (int steps : new int[] {0, 1, 2, 7, 64}) {
        float[] a = numbers(1 + 20 * 70, random);
        float[] b = numbers(3 + 64 * vector.width(), random);
        float[] c = numbers(2 + 20 * 150, random);
        float[] other = c.clone();
        vector.addProduct(a, 1, 70, rows, steps, b, 3, c, 2, 150);
        scalar.addProduct(a, 1, 70, rows, steps, b, 3, other, 2, 150);
        assertArrayEquals(other, c, rows + " rows, " + steps + " steps");
      }
    }
  }

  @Test
  void theScalarTwinMultiplies() {
    Random random = new Random(6);
    ScalarGemm scalar = new ScalarGemm(16);
    float[] a = numbers(5 * 9, random);
    float[] b = numbers(9 * 16, random);
    float[] c = new float[5 * 16];
    scalar.addProduct(a, 0, 9, 5, 9, b, 0, c, 0, 16);
    for (int row = 0; row < 5; row++) {
      for (int column = 0; column < 16; column++) {
        double sum = 0;
        for (int step = 0; step < 9; step++) {
          sum += (double) a[row * 9 + step] * b[step * 16 + column];
        }
        assertEquals(sum, c[row * 16 + column], 1e-5);
      }
    }
  }
}
