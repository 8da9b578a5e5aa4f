package dev.nibble.converter.linalg;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class InverseCholeskyTest {
  /// `XᵀX / n` of correlated rows, with a ridge: float64, symmetric.
  private static double[] hessian(int n) {
    Random random = new Random(n);
    double[] h = new double[n * n];
    double[] x = new double[n];
    for (int row = 0; row < n + 10; row++) {
      for (int i = 0; i < n; i++) {
        x[i] = 0.8 * (i == 0 ? 0 : x[i - 1]) + random.nextGaussian();
      }
      for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
          h[i * n + j] += x[i] * x[j] / n;
        }
      }
    }
    for (int i = 0; i < n; i++) {
      h[i * n + i] += 0.05;
    }
    return h;
  }

  private static Optional<InverseCholesky> factor(double[] h, int n, int threads) {
    try (Workers workers = new Workers(threads)) {
      return InverseCholesky.of(
          n,
          (row, target, at) -> {
            for (int i = 0; i < n; i++) {
              target[at + i] = (float) h[row * n + i];
            }
          },
          workers);
    }
  }

  /// U in float64 by the textbook: R upper with H = R Rᵀ, column by column, and its inverse.
  private static double[] reference(double[] h, int n) {
    double[] a = h.clone();
    assertTrue(SmallCholesky.invert(a, n));
    return a;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 5, 128, 129, 200, 384, 500})
  void givesTheFactorOfTheInverse(int n) {
    double[] h = hessian(n);
    double[] expected = reference(h, n);
    InverseCholesky u = factor(h, n, 2).orElseThrow();
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < n; j++) {
        assertEquals(expected[i * n + j], u.get(i, j), 2e-5 * expected[i * n + i], i + "," + j);
      }
    }
  }

  /// `U H Uᵀ = 1`, which nothing but the factor does.
  @Test
  void smallBlocksInvert() {
    int n = 60;
    double[] h = hessian(n);
    double[] u = reference(h, n);
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < n; j++) {
        double sum = 0;
        for (int k = 0; k < n; k++) {
          for (int m = 0; m < n; m++) {
            sum += u[i * n + k] * h[k * n + m] * u[j * n + m];
          }
        }
        assertEquals(i == j ? 1 : 0, sum, 1e-9);
        assertTrue(j >= i || u[i * n + j] == 0);
      }
    }
  }

  @Test
  void doesNotDependOnThreads() {
    int n = 420;
    double[] h = hessian(n);
    InverseCholesky one = factor(h, n, 1).orElseThrow();
    InverseCholesky three = factor(h, n, 3).orElseThrow();
    for (int block = 0; block < one.blocks(); block++) {
      assertArrayEquals(one.diagonalBlock(block), three.diagonalBlock(block));
    }
    float[] ones = new float[7 * InverseCholesky.BLOCK];
    Arrays.fill(ones, 1f);
    float[] a = new float[7 * one.stride()];
    float[] b = new float[7 * one.stride()];
    one.addRest(0, ones, 7, a);
    three.addRest(0, ones, 7, b);
    assertArrayEquals(a, b);
  }

  @ParameterizedTest
  @ValueSource(ints = {3, 140, 299})
  void saysWhatIsNotPositiveDefinite(int wrong) {
    int n = 300;
    double[] h = hessian(n);
    h[wrong * n + wrong] = -0.01;
    assertFalse(factor(h, n, 2).isPresent());
    h[wrong * n + wrong] = Double.NaN;
    assertFalse(factor(h, n, 2).isPresent());
  }
}
