package dev.nibble.converter.linalg;

/// Gram and Schmidt's way to a QR factorization, in float64 and every row twice, which is enough
/// (Giraud et al. 2005).
final class Orthonormal {
  private static final int PASSES = 2;

  private Orthonormal() {}

  /// Replaces rows by orthonormal ones that span the same; a row that depends on those before it
  /// becomes zero.
  static void rows(Matrix matrix) {
    for (int row = 0; row < matrix.rows(); row++) {
      double before = norm(matrix, row);
      for (int pass = 0; pass < PASSES; pass++) {
        for (int other = 0; other < row; other++) {
          add(matrix, row, -dot(matrix, row, other), other);
        }
      }
      double after = norm(matrix, row);
      // What is left of a dependent row is rounding.
      scale(matrix, row, after > 1e-6 * before ? 1 / after : 0);
    }
  }

  private static double norm(Matrix matrix, int row) {
    return Math.sqrt(dot(matrix, row, row));
  }

  static double dot(Matrix matrix, int left, int right) {
    return dot(matrix, left, matrix, right);
  }

  static double dot(Matrix a, int left, Matrix b, int right) {
    double sum = 0;
    int leftAt = left * a.stride();
    int rightAt = right * b.stride();
    for (int i = 0; i < a.columns(); i++) {
      sum += (double) a.data()[leftAt + i] * b.data()[rightAt + i];
    }
    return sum;
  }

  private static void add(Matrix matrix, int row, double factor, int other) {
    float[] data = matrix.data();
    int at = row * matrix.stride();
    int from = other * matrix.stride();
    for (int i = 0; i < matrix.columns(); i++) {
      data[at + i] = (float) (data[at + i] + factor * data[from + i]);
    }
  }

  private static void scale(Matrix matrix, int row, double factor) {
    for (int i = 0; i < matrix.columns(); i++) {
      matrix.set(row, i, (float) (matrix.get(row, i) * factor));
    }
  }
}
