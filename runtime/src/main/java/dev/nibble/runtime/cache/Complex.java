package dev.nibble.runtime.cache;

/// A complex number.
record Complex(double re, double im) {
  static final Complex ZERO = new Complex(0, 0);
  static final Complex ONE = new Complex(1, 0);

  Complex plus(Complex other) {
    return new Complex(re + other.re, im + other.im);
  }

  Complex minus(Complex other) {
    return new Complex(re - other.re, im - other.im);
  }

  Complex times(Complex other) {
    return new Complex(re * other.re - im * other.im, re * other.im + im * other.re);
  }

  Complex times(double factor) {
    return new Complex(re * factor, im * factor);
  }

  Complex over(Complex other) {
    double square = other.re * other.re + other.im * other.im;
    return times(other.conjugate()).times(1 / square);
  }

  Complex conjugate() {
    return new Complex(re, -im);
  }

  double abs() {
    return Math.hypot(re, im);
  }

  /// The principal square root.
  Complex root() {
    return power(0.5);
  }

  /// The principal power; that of 0 is 0.
  Complex power(double exponent) {
    double size = Math.pow(abs(), exponent);
    double angle = Math.atan2(im, re) * exponent;
    return new Complex(size * Math.cos(angle), size * Math.sin(angle));
  }

  /// The x with `A x = b`, by elimination with the largest pivot. Numbers that are not finite where
  /// A is singular.
  static Complex[] solve(Complex[][] a, double[] b) {
    int n = b.length;
    Complex[][] rows = new Complex[n][n + 1];
    for (int i = 0; i < n; i++) {
      System.arraycopy(a[i], 0, rows[i], 0, n);
      rows[i][n] = new Complex(b[i], 0);
    }
    for (int k = 0; k < n; k++) {
      int pivot = k;
      for (int i = k + 1; i < n; i++) {
        pivot = rows[i][k].abs() > rows[pivot][k].abs() ? i : pivot;
      }
      Complex[] row = rows[pivot];
      rows[pivot] = rows[k];
      rows[k] = row;
      for (int i = k + 1; i < n; i++) {
        Complex factor = rows[i][k].over(row[k]);
        for (int j = k; j <= n; j++) {
          rows[i][j] = rows[i][j].minus(factor.times(row[j]));
        }
      }
    }
    Complex[] x = new Complex[n];
    for (int k = n - 1; k >= 0; k--) {
      Complex sum = rows[k][n];
      for (int j = k + 1; j < n; j++) {
        sum = sum.minus(rows[k][j].times(x[j]));
      }
      x[k] = sum.over(rows[k][k]);
    }
    return x;
  }
}
