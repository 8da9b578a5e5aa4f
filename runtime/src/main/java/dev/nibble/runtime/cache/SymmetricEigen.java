package dev.nibble.runtime.cache;

import java.util.Comparator;
import java.util.stream.IntStream;

/// Eigenvalues of a small symmetric matrix, the largest first, by cyclic Jacobi rotations (Golub
/// and Van Loan, Matrix Computations, 8.5), which give small eigenvalues good relative accuracy.
final class SymmetricEigen {
  private static final int SWEEPS = 50;

  private final double[] values;
  private final double[][] vectors;

  private SymmetricEigen(double[] values, double[][] vectors) {
    this.values = values;
    this.vectors = vectors;
  }

  /// The largest first.
  double[] values() {
    return values;
  }

  /// Column j belongs to value j; orthonormal.
  double[][] vectors() {
    return vectors;
  }

  static SymmetricEigen of(double[][] matrix) {
    int n = matrix.length;
    double[][] a = new double[n][];
    double[][] v = new double[n][n];
    for (int i = 0; i < n; i++) {
      a[i] = matrix[i].clone();
      v[i][i] = 1;
    }
    boolean changed = true;
    for (int sweep = 0; sweep < SWEEPS && changed; sweep++) {
      changed = false;
      for (int p = 0; p < n; p++) {
        for (int q = p + 1; q < n; q++) {
          changed |= rotate(a, v, p, q);
        }
      }
    }
    int[] order =
        IntStream.range(0, n)
            .boxed()
            .sorted(Comparator.comparingDouble((Integer i) -> a[i][i]).reversed())
            .mapToInt(Integer::intValue)
            .toArray();
    double[] values = new double[n];
    double[][] vectors = new double[n][n];
    for (int j = 0; j < n; j++) {
      values[j] = a[order[j]][order[j]];
      for (int i = 0; i < n; i++) {
        vectors[i][j] = v[i][order[j]];
      }
    }
    return new SymmetricEigen(values, vectors);
  }

  /// Makes element (p, q) zero; false if it is negligible.
  private static boolean rotate(double[][] a, double[][] v, int p, int q) {
    double off = a[p][q];
    if (!(Math.abs(off) > Math.ulp(1.0) * Math.sqrt(Math.abs(a[p][p] * a[q][q])))) {
      return false;
    }
    double theta = (a[q][q] - a[p][p]) / (2 * off);
    double t = Math.copySign(1, theta) / (Math.abs(theta) + Math.hypot(theta, 1));
    double c = 1 / Math.hypot(t, 1);
    double s = t * c;
    for (int k = 0; k < a.length; k++) {
      double kp = a[k][p];
      double kq = a[k][q];
      a[k][p] = c * kp - s * kq;
      a[k][q] = s * kp + c * kq;
    }
    for (int k = 0; k < a.length; k++) {
      double pk = a[p][k];
      double qk = a[q][k];
      a[p][k] = c * pk - s * qk;
      a[q][k] = s * pk + c * qk;
      double vp = v[k][p];
      double vq = v[k][q];
      v[k][p] = c * vp - s * vq;
      v[k][q] = s * vp + c * vq;
    }
    return true;
  }
}
