package dev.nibble.converter.linalg;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;

class RandomizedSvdTest {
  private static final int ROWS = 90;
  private static final int COLUMNS = 70;

  private static Matrix random(int rows, int columns, long seed) {
    Random random = new Random(seed);
    Matrix matrix = new Matrix(rows, columns);
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        matrix.set(i, j, (float) random.nextGaussian());
      }
    }
    return matrix;
  }

  private static RandomizedSvd svd(Matrix d, Optional<Rows> gram, int rank, int threads) {
    try (Workers workers = new Workers(threads)) {
      return RandomizedSvd.of(d, gram, new RandomizedSvd.Options(rank, 30, 1), workers);
    }
  }

  /// `a · bᵀ`, or `aᵀ · b`, in float64.
  private static double[] product(Matrix a, Matrix b) {
    double[] product = new double[a.rows() * b.columns()];
    for (int i = 0; i < a.rows(); i++) {
      for (int j = 0; j < b.columns(); j++) {
        for (int k = 0; k < a.columns(); k++) {
          product[i * b.columns() + j] += (double) a.get(i, k) * b.get(k, j);
        }
      }
    }
    return product;
  }

  private static Matrix transpose(Matrix a) {
    Matrix result = new Matrix(a.columns(), a.rows());
    for (int i = 0; i < a.rows(); i++) {
      for (int j = 0; j < a.columns(); j++) {
        result.set(j, i, a.get(i, j));
      }
    }
    return result;
  }

  /// Squared length of `(D - Uᵀᵀ · right) · s`.
  private static double error(Matrix d, RandomizedSvd svd, Matrix s) {
    double[] low = product(transpose(svd.left()), svd.right());
    Matrix rest = new Matrix(d.rows(), d.columns());
    for (int i = 0; i < d.rows(); i++) {
      for (int j = 0; j < d.columns(); j++) {
        rest.set(i, j, (float) (d.get(i, j) - low[i * d.columns() + j]));
      }
    }
    double sum = 0;
    for (double value : product(rest, s)) {
      sum += value * value;
    }
    return sum;
  }

  private static Matrix unit(int size) {
    Matrix unit = new Matrix(size, size);
    for (int i = 0; i < size; i++) {
      unit.set(i, i, 1);
    }
    return unit;
  }

  /// All eigenvalues of `M Mᵀ`, in float64.
  private static SymmetricEigen squares(double[] m, int rows, int columns) {
    double[] gram = new double[rows * rows];
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < rows; j++) {
        for (int k = 0; k < columns; k++) {
          gram[i * rows + j] += m[i * columns + k] * m[j * columns + k];
        }
      }
    }
    return new SymmetricEigen(gram, rows);
  }

  @Test
  void recoversAMatrixOfItsRank() {
    double[] low = product(random(ROWS, 5, 1), random(5, COLUMNS, 2));
    Matrix d = new Matrix(ROWS, COLUMNS);
    double length = 0;
    for (int i = 0; i < low.length; i++) {
      d.set(i / COLUMNS, i % COLUMNS, (float) low[i]);
      length += low[i] * low[i];
    }
    assertTrue(error(d, svd(d, Optional.empty(), 5, 2), unit(COLUMNS)) < 1e-10 * length);
    assertTrue(error(d, svd(d, Optional.empty(), 4, 2), unit(COLUMNS)) > 1e-3 * length);
  }

  /// The least error of any rank-r matrix is the sum of the other squared singular values (Eckart,
  /// Young), whatever the norm.
  @Test
  void isTheBestInTheNormOfTheInputs() {
    Matrix d = random(ROWS, COLUMNS, 3);
    Matrix s = random(COLUMNS, COLUMNS, 4);
    for (int i = 0; i < COLUMNS; i++) {
      for (int j = 0; j < COLUMNS; j++) {
        s.set(i, j, s.get(i, j) * (float) Math.exp(-0.05 * i));
      }
    }
    double[] square = product(s, transpose(s));
    Matrix gram = new Matrix(COLUMNS, COLUMNS);
    for (int i = 0; i < square.length; i++) {
      gram.set(i / COLUMNS, i % COLUMNS, (float) square[i]);
    }
    SymmetricEigen exact = squares(product(d, s), ROWS, COLUMNS);
    int rank = 8;
    double least = 0;
    for (int i = rank; i < COLUMNS; i++) {
      least += exact.value(i);
    }
    RandomizedSvd weighted = svd(d, Optional.of(gram), rank, 2);
    assertEquals(least, error(d, weighted, s), 1e-4 * least);
    for (int i = 0; i < rank; i++) {
      double expected = Math.sqrt(exact.value(i));
      assertEquals(expected, weighted.values()[i], 1e-4 * expected, "value " + i);
    }
    assertTrue(error(d, svd(d, Optional.empty(), rank, 2), s) > 1.02 * least);
  }

  @Test
  void doesNotDependOnThreads() {
    Matrix d = random(ROWS, COLUMNS, 5);
    RandomizedSvd one = svd(d, Optional.empty(), 6, 1);
    RandomizedSvd three = svd(d, Optional.empty(), 6, 3);
    assertArrayEquals(one.left().data(), three.left().data());
    assertArrayEquals(one.right().data(), three.right().data());
  }

  @Test
  void smallMatricesHaveFewerValues() {
    Matrix d = random(3, 40, 6);
    RandomizedSvd svd = svd(d, Optional.empty(), 20, 1);
    assertEquals(3, svd.values().length);
    assertTrue(error(d, svd, unit(40)) < 1e-9);
  }

  /// A row that depends on others becomes zero, not noise.
  @Test
  void basesAreOrthonormal() {
    Matrix matrix = random(12, 50, 7);
    for (int i = 0; i < 50; i++) {
      matrix.set(5, i, 3 * matrix.get(1, i) - matrix.get(4, i));
    }
    Orthonormal.rows(matrix);
    for (int i = 0; i < 12; i++) {
      for (int j = 0; j < 12; j++) {
        double expected = i == j && i != 5 ? 1 : 0;
        assertEquals(expected, Orthonormal.dot(matrix, i, j), 1e-6, i + "," + j);
      }
    }
  }
}
