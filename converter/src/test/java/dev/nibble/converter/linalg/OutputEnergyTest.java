package dev.nibble.converter.linalg;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class OutputEnergyTest {
  private static float[] gaussian(int count, long seed) {
    Random random = new Random(seed);
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  /// Across the borders of tiles, of tokens and features.
  @ParameterizedTest
  @CsvSource({"1, 1, 1", "3, 7, 5", "4, 256, 256", "5, 300, 257", "2, 513, 90", "3, 20, 600"})
  void bothFormsAreTheMeanSquaredOutput(int rows, int tokens, int features) {
    float[] x = gaussian(tokens * features, 1);
    float[] d = gaussian(rows * features, 2);
    OutputEnergy sample = OutputEnergy.ofSample(MemorySegment.ofArray(x), tokens, features);
    float[] gram = new float[features * features];
    for (int i = 0; i < features; i++) {
      for (int j = 0; j < features; j++) {
        double sum = 0;
        for (int t = 0; t < tokens; t++) {
          sum += (double) x[t * features + i] * x[t * features + j];
        }
        gram[i * features + j] = (float) sum;
      }
    }
    OutputEnergy exact = OutputEnergy.ofGram(MemorySegment.ofArray(gram), features, tokens);
    for (int row = 0; row < rows; row++) {
      double expected = 0;
      for (int t = 0; t < tokens; t++) {
        double output = 0;
        for (int j = 0; j < features; j++) {
          output += (double) x[t * features + j] * d[row * features + j];
        }
        expected += output * output / tokens;
      }
      assertEquals(expected, sample.each(d, rows)[row], 1e-5 * expected);
      assertEquals(expected, sample.compact().each(d, rows)[row], 1e-5 * expected);
      assertEquals(expected, exact.each(d, rows)[row], 1e-5 * expected);
    }
  }

  @Test
  void refusesOtherSizes() {
    MemorySegment some = MemorySegment.ofArray(new float[12]);
    assertThrows(IllegalArgumentException.class, () -> OutputEnergy.ofGram(some, 3, 4));
    assertThrows(IllegalArgumentException.class, () -> OutputEnergy.ofSample(some, 5, 3));
  }
}
