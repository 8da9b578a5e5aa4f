package dev.nibble.runtime.cache;

/// Eigenvalues and eigenvectors of a small real matrix that need not be symmetric: QR steps with
/// Wilkinson's shift to the complex Schur form `A = Q T Q*`, then substitution (Golub and Van Loan,
/// Matrix Computations, 7.5 and 7.6). The matrices here have at most 15 rows, so none is brought to
/// Hessenberg form first.
final class ComplexEigen {
  private static final int STEPS = 60;

  /// A size whose square is still a normal number.
  private static final double TINY = 1e-150;

  private final Complex[] values;
  private final Complex[][] vectors;

  private ComplexEigen(Complex[] values, Complex[][] vectors) {
    this.values = values;
    this.vectors = vectors;
  }

  /// Eigenvalues, in no order.
  Complex[] values() {
    return values;
  }

  /// Column j belongs to value j.
  Complex[][] vectors() {
    return vectors;
  }

  static ComplexEigen of(double[][] matrix) {
    int n = matrix.length;
    Complex[][] t = new Complex[n][n];
    Complex[][] q = new Complex[n][n];
    double size = 0;
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < n; j++) {
        t[i][j] = new Complex(matrix[i][j], 0);
        q[i][j] = i == j ? Complex.ONE : Complex.ZERO;
        size = Math.hypot(size, matrix[i][j]);
      }
    }
    double negligible = Math.max(Math.ulp(1.0) * size, TINY);
    for (int last = n - 1; last > 0; last--) {
      for (int step = 1; step <= STEPS && off(t, last) > negligible; step++) {
        // A shift of another kind now and then breaks cycles.
        Complex shift = step % 10 == 0 ? new Complex(off(t, last), 0) : wilkinson(t, last);
        step(t, q, last, shift);
      }
      for (int j = 0; j < last; j++) {
        t[last][j] = Complex.ZERO;
      }
    }
    return substituted(t, q, negligible);
  }

  /// Size of row `last` left of the diagonal.
  private static double off(Complex[][] t, int last) {
    double size = 0;
    for (int j = 0; j < last; j++) {
      size = Math.hypot(size, t[last][j].abs());
    }
    return size;
  }

  /// The eigenvalue of the last two rows and columns that is nearer to the last diagonal element.
  private static Complex wilkinson(Complex[][] t, int last) {
    Complex a = t[last - 1][last - 1];
    Complex d = t[last][last];
    Complex half = a.minus(d).times(0.5);
    Complex product = t[last - 1][last].times(t[last][last - 1]);
    Complex root = half.times(half).plus(product).root();
    Complex larger =
        half.plus(root).abs() >= half.minus(root).abs() ? half.plus(root) : half.minus(root);
    return larger.abs() == 0 ? d : d.minus(product.over(larger));
  }

  /// `T - shift = Q R`, `T := R Q + shift`, on rows and columns up to `last`.
  private static void step(Complex[][] t, Complex[][] q, int last, Complex shift) {
    for (int i = 0; i <= last; i++) {
      t[i][i] = t[i][i].minus(shift);
    }
    Complex[][] rotations = new Complex[(last + 1) * last / 2][];
    int count = 0;
    for (int j = 0; j < last; j++) {
      for (int i = j + 1; i <= last; i++) {
        double size = Math.hypot(t[j][j].abs(), t[i][j].abs());
        Complex c = size == 0 ? Complex.ONE : t[j][j].times(1 / size);
        Complex s = size == 0 ? Complex.ZERO : t[i][j].times(1 / size);
        rotations[count++] = new Complex[] {c, s};
        for (int k = 0; k < t.length; k++) {
          Complex upper = t[j][k];
          Complex lower = t[i][k];
          t[j][k] = c.conjugate().times(upper).plus(s.conjugate().times(lower));
          t[i][k] = c.times(lower).minus(s.times(upper));
        }
      }
    }
    count = 0;
    for (int j = 0; j < last; j++) {
      for (int i = j + 1; i <= last; i++) {
        Complex c = rotations[count][0];
        Complex s = rotations[count++][1];
        rotateColumns(t, last + 1, j, i, c, s);
        rotateColumns(q, q.length, j, i, c, s);
      }
    }
    for (int i = 0; i <= last; i++) {
      t[i][i] = t[i][i].plus(shift);
    }
  }

  private static void rotateColumns(Complex[][] a, int rows, int j, int i, Complex c, Complex s) {
    for (int k = 0; k < rows; k++) {
      Complex left = a[k][j];
      Complex right = a[k][i];
      a[k][j] = left.times(c).plus(right.times(s));
      a[k][i] = right.times(c.conjugate()).minus(left.times(s.conjugate()));
    }
  }

  private static ComplexEigen substituted(Complex[][] t, Complex[][] q, double negligible) {
    int n = t.length;
    Complex[] values = new Complex[n];
    Complex[][] vectors = new Complex[n][n];
    for (int k = 0; k < n; k++) {
      values[k] = t[k][k];
      Complex[] v = new Complex[n];
      v[k] = Complex.ONE;
      for (int i = k - 1; i >= 0; i--) {
        Complex sum = Complex.ZERO;
        for (int j = i + 1; j <= k; j++) {
          sum = sum.minus(t[i][j].times(v[j]));
        }
        Complex gap = t[i][i].minus(t[k][k]);
        // Equal values: the smallest gap that still tells the vectors apart.
        v[i] = sum.over(gap.abs() > negligible ? gap : new Complex(negligible, 0));
      }
      for (int i = 0; i < n; i++) {
        Complex sum = Complex.ZERO;
        for (int j = 0; j <= k; j++) {
          sum = sum.plus(q[i][j].times(v[j]));
        }
        vectors[i][k] = sum;
      }
    }
    return new ComplexEigen(values, vectors);
  }
}
