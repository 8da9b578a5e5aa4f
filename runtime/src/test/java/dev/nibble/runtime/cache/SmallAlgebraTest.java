package dev.nibble.runtime.cache;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Comparator;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Eigenvalues and least squares by what defines them.
class SmallAlgebraTest {
  private static double[][] random(int rows, int columns, long seed) {
    Random random = new Random(seed);
    double[][] a = new double[rows][columns];
    for (double[] row : a) {
      Arrays.setAll(row, _ -> random.nextGaussian());
    }
    return a;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 5, 9, 15})
  void complexPairsSolveTheirEquation(int n) {
    for (long seed = 0; seed < 20; seed++) {
      checkPairs(random(n, n, seed), 1e-11);
    }
  }

  @Test
  void rotationHasAConjugatePair() {
    double[][] quarterTurn = {{0, -1, 0}, {1, 0, 0}, {0, 0, 2}};
    checkPairs(quarterTurn, 1e-14);
    Complex[] values = ComplexEigen.of(quarterTurn).values();
    Arrays.sort(values, Comparator.comparingDouble(Complex::im));
    assertEquals(-1, values[0].im(), 1e-14);
    assertEquals(2, values[1].re(), 1e-14);
    assertEquals(1, values[2].im(), 1e-14);
  }

  /// A cycle of four, which QR steps without a shift leave as it is; and a matrix with one vector
  /// alone for its three equal values.
  @Test
  void difficultMatrices() {
    checkPairs(new double[][] {{0, 0, 0, 1}, {1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}, 1e-13);
    checkPairs(new double[][] {{2, 1, 0}, {0, 2, 1}, {0, 0, 2}}, 1e-13);
    checkPairs(new double[][] {{0, 0}, {0, 0}}, 0);
  }

  /// `A v = λ v` for each pair, and the values add up to the trace.
  private static void checkPairs(double[][] a, double tolerance) {
    ComplexEigen eigen = ComplexEigen.of(a);
    Complex trace = Complex.ZERO;
    for (int k = 0; k < a.length; k++) {
      trace = trace.plus(eigen.values()[k]).minus(new Complex(a[k][k], 0));
      double size = 0;
      for (int i = 0; i < a.length; i++) {
        size = Math.max(size, eigen.vectors()[i][k].abs());
      }
      for (int i = 0; i < a.length; i++) {
        Complex rest = eigen.values()[k].times(eigen.vectors()[i][k]).times(-1);
        for (int j = 0; j < a.length; j++) {
          rest = rest.plus(eigen.vectors()[j][k].times(a[i][j]));
        }
        assertTrue(rest.abs() <= tolerance * size, "%s of vectors of %s".formatted(rest, size));
      }
    }
    assertTrue(trace.abs() <= Math.max(tolerance, 1e-15) * a.length, trace.toString());
  }

  @Test
  void symmetricPairsSolveTheirEquation() {
    double[][] x = random(8, 5, 3);
    double[][] gram = new double[5][5];
    for (int i = 0; i < 5; i++) {
      for (int j = 0; j < 5; j++) {
        for (double[] row : x) {
          gram[i][j] += row[i] * row[j];
        }
      }
    }
    SymmetricEigen eigen = SymmetricEigen.of(gram);
    for (int k = 0; k < 5; k++) {
      assertTrue(k == 0 || eigen.values()[k] <= eigen.values()[k - 1]);
      double norm = 0;
      for (int i = 0; i < 5; i++) {
        double product = 0;
        for (int j = 0; j < 5; j++) {
          product += gram[i][j] * eigen.vectors()[j][k];
        }
        assertEquals(eigen.values()[k] * eigen.vectors()[i][k], product, 1e-12);
        norm += eigen.vectors()[i][k] * eigen.vectors()[i][k];
      }
      assertEquals(1, norm, 1e-12);
    }
  }

  @Test
  void leastSquaresLeavesNothingAlongTheColumns() {
    double[][] a = random(7, 4, 11);
    double[] b = random(1, 7, 12)[0];
    double[] x = LeastSquares.solve(a, b);
    double[] along = new double[4];
    for (int i = 0; i < 7; i++) {
      double rest = b[i];
      for (int j = 0; j < 4; j++) {
        rest -= a[i][j] * x[j];
      }
      for (int j = 0; j < 4; j++) {
        along[j] += a[i][j] * rest;
      }
    }
    assertArrayEquals(new double[4], along, 1e-12);
  }

  @Test
  void powersAreThePrincipalOnes() {
    Complex root = new Complex(-4, 0).root();
    assertEquals(0, root.re(), 1e-15);
    assertEquals(2, root.im(), 1e-15);
    assertEquals(Complex.ZERO, Complex.ZERO.power(0.5));
    Complex[] solved =
        Complex.solve(
            new Complex[][] {{Complex.ZERO, new Complex(0, 1)}, {new Complex(2, 0), Complex.ONE}},
            new double[] {3, 4});
    assertEquals(new Complex(2, 1.5), solved[0]);
    assertEquals(new Complex(0, -3), solved[1]);
  }
}
