package dev.nibble.converter.linalg;

import java.util.Comparator;
import java.util.stream.IntStream;

/// Eigenvalues and vectors of a small symmetric matrix, by Jacobi's rotations.
final class SymmetricEigen {
  private static final int SWEEPS = 30;

  private final int size;
  private final double[] a;
  private final double[] vectors;
  private final int[] order;

  /// @param matrix `[size, size]`, row-major; not changed
  SymmetricEigen(double[] matrix, int size) {
    this.size = size;
    this.a = matrix.clone();
    this.vectors = new double[size * size];
    for (int i = 0; i < size; i++) {
      vectors[i * size + i] = 1;
    }
    for (int sweep = 0; sweep < SWEEPS && !isDiagonal(); sweep++) {
      for (int p = 0; p < size; p++) {
        for (int q = p + 1; q < size; q++) {
          rotate(p, q);
        }
      }
    }
    order =
        IntStream.range(0, size)
            .boxed()
            .sorted(Comparator.comparingDouble((Integer i) -> -a[i * size + i]))
            .mapToInt(Integer::intValue)
            .toArray();
  }

  /// The eigenvalue of rank `index`, the largest first.
  double value(int index) {
    return a[order[index] * size + order[index]];
  }

  /// Element `i` of the eigenvector of rank `index`.
  double vector(int index, int i) {
    return vectors[i * size + order[index]];
  }

  private boolean isDiagonal() {
    double off = 0;
    double all = 0;
    for (int i = 0; i < size; i++) {
      for (int j = 0; j < size; j++) {
        double square = a[i * size + j] * a[i * size + j];
        all += square;
        off += i == j ? 0 : square;
      }
    }
    return off <= 1e-30 * all;
  }

  /// Makes `a[p, q]` zero (Golub and Van Loan, 8.5).
  private void rotate(int p, int q) {
    double apq = a[p * size + q];
    if (apq == 0) {
      return;
    }
    double tau = (a[q * size + q] - a[p * size + p]) / (2 * apq);
    double tangent = Math.copySign(1, tau) / (Math.abs(tau) + Math.hypot(1, tau));
    double cosine = 1 / Math.hypot(1, tangent);
    double sine = tangent * cosine;
    for (int k = 0; k < size; k++) {
      turn(a, k * size + p, k * size + q, cosine, sine);
    }
    for (int k = 0; k < size; k++) {
      turn(a, p * size + k, q * size + k, cosine, sine);
      turn(vectors, k * size + p, k * size + q, cosine, sine);
    }
  }

  private static void turn(double[] values, int p, int q, double cosine, double sine) {
    double first = values[p];
    double second = values[q];
    values[p] = cosine * first - sine * second;
    values[q] = sine * first + cosine * second;
  }
}
