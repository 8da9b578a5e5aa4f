package dev.nibble.converter.linalg;

import java.util.Arrays;

/// Triangular factors of blocks that fit the first cache, in float64.
final class SmallCholesky {
  private SmallCholesky() {}

  /// Replaces a symmetric A `[n, n]`, row-major, of which the upper triangle is read, by U = R⁻¹
  /// where A = R Rᵀ; both upper triangular, zero below.
  ///
  /// @return whether A is positive definite; if not, it is left in pieces
  static boolean invert(double[] a, int n) {
    boolean definite = factor(a, n);
    if (definite) {
      invertTriangle(a, n);
    }
    return definite;
  }

  private static boolean factor(double[] a, int n) {
    for (int j = n - 1; j >= 0; j--) {
      double square = a[j * n + j] - dot(a, j * n, j * n, j + 1, n);
      // False for NaN too.
      if (!(square > 0 && square < Double.POSITIVE_INFINITY)) {
        return false;
      }
      double root = Math.sqrt(square);
      a[j * n + j] = root;
      for (int i = 0; i < j; i++) {
        a[i * n + j] = (a[i * n + j] - dot(a, i * n, j * n, j + 1, n)) / root;
        a[j * n + i] = 0;
      }
    }
    return true;
  }

  private static double dot(double[] a, int left, int right, int from, int to) {
    double sum = 0;
    for (int m = from; m < to; m++) {
      sum += a[left + m] * a[right + m];
    }
    return sum;
  }

  /// Row i of U is (unit row i - sum of R[i, m] times row m of U, for m > i) / R[i, i].
  private static void invertTriangle(double[] a, int n) {
    double[] row = new double[n];
    for (int i = n - 1; i >= 0; i--) {
      double inverse = 1 / a[i * n + i];
      Arrays.fill(row, i, n, 0);
      row[i] = 1;
      for (int m = i + 1; m < n; m++) {
        double factor = a[i * n + m];
        for (int k = m; k < n; k++) {
          row[k] -= factor * a[m * n + k];
        }
      }
      for (int k = i; k < n; k++) {
        a[i * n + k] = row[k] * inverse;
      }
    }
  }
}
