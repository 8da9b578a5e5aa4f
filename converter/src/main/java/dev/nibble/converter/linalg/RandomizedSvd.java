package dev.nibble.converter.linalg;

import java.util.Optional;
import java.util.Random;

/// The largest singular values of a matrix D `[m, n]` and what belongs to them, by random subspace
/// iteration (Halko, Martinsson and Tropp, arXiv:0909.4061): of D itself, or of `D · S` where only
/// `G = S Sᵀ` `[n, n]` is known, a Gram matrix of inputs.
///
/// With U the left singular vectors of `D · S`, `U Uᵀ D` is the matrix L of its rank that makes
/// `‖(D - L) · S‖` least; S itself, or its inverse, is never needed, since `D S (D S)ᵀ = D G Dᵀ`.
public final class RandomizedSvd {
  /// Vectors that are carried along beyond the rank.
  private static final int OVERSAMPLING = 10;

  private final Matrix left;
  private final Matrix right;
  private final double[] values;

  private RandomizedSvd(Matrix left, Matrix right, double[] values) {
    this.left = left;
    this.right = right;
    this.values = values;
  }

  /// How it is done.
  ///
  /// @param rank singular values that are wanted; fewer if the matrix is smaller
  /// @param iterations multiplications by `D G Dᵀ`
  /// @param seed of the first, random vectors
  public record Options(int rank, int iterations, long seed) {}

  /// @param gram G, symmetric; the unit matrix if empty
  public static RandomizedSvd of(Matrix d, Optional<Rows> gram, Options options, Workers workers) {
    int rank = Math.min(options.rank(), Math.min(d.rows(), d.columns()));
    int carried = Math.min(rank + OVERSAMPLING, Math.min(d.rows(), d.columns()));
    Matrix vectors = random(carried, d.rows(), options.seed());
    for (int i = 0; i < options.iterations(); i++) {
      Orthonormal.rows(vectors);
      Matrix next = new Matrix(carried, d.rows());
      Gemm.addTransposed(weighted(project(vectors, d, workers), gram, workers), d, next, workers);
      vectors = next;
    }
    Orthonormal.rows(vectors);
    return rotated(vectors, project(vectors, d, workers), gram, rank, workers);
  }

  private static Matrix random(int rows, int columns, long seed) {
    Random random = new Random(seed);
    Matrix matrix = new Matrix(rows, columns);
    for (int row = 0; row < rows; row++) {
      for (int column = 0; column < columns; column++) {
        matrix.set(row, column, (float) random.nextGaussian());
      }
    }
    return matrix;
  }

  /// `Vᵀ · D`.
  private static Matrix project(Matrix vectors, Matrix d, Workers workers) {
    Matrix projected = new Matrix(vectors.rows(), d.columns());
    Gemm.addProduct(vectors, d, projected, workers);
    return projected;
  }

  private static Matrix weighted(Matrix matrix, Optional<Rows> gram, Workers workers) {
    if (gram.isEmpty()) {
      return matrix;
    }
    Matrix product = new Matrix(matrix.rows(), matrix.columns());
    Gemm.addTransposed(matrix, gram.get(), product, workers);
    return product;
  }

  /// Turns a basis of the subspace to singular vectors.
  private static RandomizedSvd rotated(
      Matrix basis, Matrix projected, Optional<Rows> gram, int rank, Workers workers) {
    int carried = basis.rows();
    Matrix weighted = weighted(projected, gram, workers);
    double[] small = new double[carried * carried];
    for (int i = 0; i < carried; i++) {
      for (int j = 0; j <= i; j++) {
        double dot = Orthonormal.dot(projected, i, weighted, j);
        small[i * carried + j] = dot;
        small[j * carried + i] = dot;
      }
    }
    SymmetricEigen eigen = new SymmetricEigen(small, carried);
    Matrix turn = new Matrix(rank, carried);
    double[] values = new double[rank];
    for (int i = 0; i < rank; i++) {
      values[i] = Math.sqrt(Math.max(0, eigen.value(i)));
      for (int j = 0; j < carried; j++) {
        turn.set(i, j, (float) eigen.vector(i, j));
      }
    }
    return new RandomizedSvd(
        project(turn, basis, workers), project(turn, projected, workers), values);
  }

  /// Uᵀ `[rank, m]`: rows are left singular vectors, orthonormal.
  public Matrix left() {
    return left;
  }

  /// `Uᵀ · D` `[rank, n]`; without a Gram matrix its rows are the right singular vectors times
  /// their values.
  public Matrix right() {
    return right;
  }

  /// The singular values of `D · S`, the largest first.
  public double[] values() {
    return values.clone();
  }
}
