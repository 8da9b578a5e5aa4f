package dev.nibble.runtime.cache;

import java.util.Optional;

/// The propagator of {@link Dmd}, in coordinates of the values themselves. Everything follows from
/// the Gram matrix: with `G = XᵀX = V S² Vᵀ`, `Uᵀ X' = S^-1 Vᵀ XᵀX'`; and where `G' = X'ᵀX' = P Λ'
/// Pᵀ`, the norm of `X' c` is that of `sqrt(Λ') Pᵀ c`, which turns the long least squares problem
/// into a short one. Squaring halves the digits of S, of which those below 1e-4 of the largest are
/// dropped: 8 digits of the smallest that stays.
final class DmdFit {
  private static final double CUT = 1e-4;
  private static final double NOISE = 1e-7;

  private final Complex[] values;

  /// `V (S + ridge)^-1 W diag(b)`, a row for each of `x_2 .. x_n`.
  private final Complex[][] modes;

  private DmdFit(Complex[] values, Complex[][] modes) {
    this.values = values;
    this.modes = modes;
  }

  /// @param products `x_iᵀ x_j`
  /// @return empty where the values say nothing
  static Optional<DmdFit> of(double[][] products, int rank, double ridge) {
    int m = products.length - 1;
    SymmetricEigen gram = SymmetricEigen.of(block(products, 0, 0, m));
    double[] s = new double[m];
    for (int i = 0; i < m; i++) {
      s[i] = Math.sqrt(Math.max(gram.values()[i], 0));
    }
    if (!(s[0] > 0) || !Double.isFinite(s[0])) {
      return Optional.empty();
    }
    int r = kept(s, rank);
    double[][] inverse = new double[m][r];
    for (int i = 0; i < m; i++) {
      for (int j = 0; j < r; j++) {
        inverse[i][j] = gram.vectors()[i][j] / (s[j] + ridge);
      }
    }
    double[][] shifted = multiply(block(products, 0, 1, m), inverse);
    double[][] propagator = new double[r][r];
    for (int i = 0; i < r; i++) {
      for (int j = 0; j < r; j++) {
        for (int k = 0; k < m; k++) {
          propagator[i][j] += gram.vectors()[k][i] * shifted[k][j] / s[i];
        }
      }
    }
    ComplexEigen eigen = ComplexEigen.of(propagator);
    double[] last = coordinatesOfLast(block(products, 1, 1, m), inverse);
    Complex[] b = Complex.solve(eigen.vectors(), last);
    Complex[][] modes = new Complex[m][r];
    for (int i = 0; i < m; i++) {
      for (int j = 0; j < r; j++) {
        Complex sum = Complex.ZERO;
        for (int k = 0; k < r; k++) {
          sum = sum.plus(eigen.vectors()[k][j].times(inverse[i][k]));
        }
        modes[i][j] = sum.times(b[j]);
      }
    }
    return Optional.of(new DmdFit(eigen.values(), modes));
  }

  private static int kept(double[] s, int rank) {
    double cut = rank == 0 ? CUT : NOISE;
    int kept = 1;
    while (kept < s.length && s[kept] > s[0] * cut && (rank == 0 || kept < rank)) {
      kept++;
    }
    return kept;
  }

  /// The c for which `X' inverse c` comes nearest to `x_n`, the last column of `X'`.
  private static double[] coordinatesOfLast(double[][] products, double[][] inverse) {
    int m = products.length;
    SymmetricEigen eigen = SymmetricEigen.of(products);
    double[][] root = new double[m][m];
    double[] target = new double[m];
    for (int i = 0; i < m; i++) {
      double scale = Math.sqrt(Math.max(eigen.values()[i], 0));
      for (int j = 0; j < m; j++) {
        root[i][j] = scale * eigen.vectors()[j][i];
      }
      target[i] = root[i][m - 1];
    }
    return LeastSquares.solve(multiply(root, inverse), target);
  }

  /// What the values `x_2 .. x_n` contribute.
  ///
  /// @param horizon how far ahead, in spacings
  /// @return empty where a number is not finite
  Optional<float[]> coefficients(double horizon) {
    float[] coefficients = new float[modes.length];
    for (int i = 0; i < modes.length; i++) {
      double sum = 0;
      for (int j = 0; j < values.length; j++) {
        sum += values[j].power(horizon).times(modes[i][j]).re();
      }
      coefficients[i] = (float) sum;
      if (!Float.isFinite(coefficients[i])) {
        return Optional.empty();
      }
    }
    return Optional.of(coefficients);
  }

  private static double[][] block(double[][] a, int row, int column, int size) {
    double[][] block = new double[size][size];
    for (int i = 0; i < size; i++) {
      System.arraycopy(a[row + i], column, block[i], 0, size);
    }
    return block;
  }

  private static double[][] multiply(double[][] a, double[][] b) {
    double[][] product = new double[a.length][b[0].length];
    for (int i = 0; i < a.length; i++) {
      for (int k = 0; k < b.length; k++) {
        for (int j = 0; j < b[0].length; j++) {
          product[i][j] += a[i][k] * b[k][j];
        }
      }
    }
    return product;
  }
}
