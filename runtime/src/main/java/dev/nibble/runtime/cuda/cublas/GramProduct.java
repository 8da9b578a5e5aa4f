package dev.nibble.runtime.cuda.cublas;

/// A product `C += Aᵀ·B` of columns of one row-major matrix `X [k, stride]`, accumulated in the
/// float32 of C.
///
/// @param m columns of A; rows of C
/// @param n columns of B; columns of C that are added to
/// @param k rows of X
/// @param stride columns of X and of C
/// @param input type of X
public record GramProduct(long m, long n, long k, long stride, Product.Type input)
    implements Multiplication {
  public GramProduct {
    if (m < 1 || n < 1 || k < 1 || m > stride || n > stride) {
      throw new IllegalArgumentException(
          "a Gram product of %d and %d columns of [%d, %d]".formatted(m, n, k, stride));
    }
  }

  @Override
  public String toString() {
    return "%d columns by %d of [%d, %d] of %s".formatted(m, n, k, stride, input);
  }
}
