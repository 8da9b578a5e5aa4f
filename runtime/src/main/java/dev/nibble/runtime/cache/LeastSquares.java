package dev.nibble.runtime.cache;

/// Least squares by Householder reflections (Golub and Van Loan, Matrix Computations, 5.3).
final class LeastSquares {
  private LeastSquares() {}

  /// The x with the least norm of `A x - b`.
  ///
  /// @param a at least as many rows as columns, of full rank
  static double[] solve(double[][] a, double[] b) {
    int m = a.length;
    int n = a[0].length;
    double[][] r = new double[m][];
    for (int i = 0; i < m; i++) {
      r[i] = a[i].clone();
    }
    double[] y = b.clone();
    for (int k = 0; k < n; k++) {
      reflect(r, y, k);
    }
    double[] x = new double[n];
    for (int k = n - 1; k >= 0; k--) {
      double sum = y[k];
      for (int j = k + 1; j < n; j++) {
        sum -= r[k][j] * x[j];
      }
      x[k] = sum / r[k][k];
    }
    return x;
  }

  /// Makes column k zero below the diagonal.
  private static void reflect(double[][] r, double[] y, int k) {
    int m = r.length;
    double norm = 0;
    for (int i = k; i < m; i++) {
      norm = Math.hypot(norm, r[i][k]);
    }
    if (norm == 0) {
      return;
    }
    double[] v = new double[m];
    for (int i = k; i < m; i++) {
      v[i] = r[i][k];
    }
    v[k] += Math.copySign(norm, v[k]);
    double square = 0;
    for (int i = k; i < m; i++) {
      square += v[i] * v[i];
    }
    for (int j = k; j < r[0].length; j++) {
      double sum = 0;
      for (int i = k; i < m; i++) {
        sum += v[i] * r[i][j];
      }
      for (int i = k; i < m; i++) {
        r[i][j] -= 2 * sum / square * v[i];
      }
    }
    double sum = 0;
    for (int i = k; i < m; i++) {
      sum += v[i] * y[i];
    }
    for (int i = k; i < m; i++) {
      y[i] -= 2 * sum / square * v[i];
    }
  }
}
