package dev.nibble.runtime.cuda.cublas;

/// A product `C = A·Bᵀ`, all row-major, accumulated in float32.
///
/// @param m rows of `A [m, k]` and `C [m, n]`
/// @param n rows of `B [n, k]`
/// @param k columns of A and B
/// @param input type of A and B
/// @param output type of C and of the bias
/// @param biased whether a vector `[n]` is added to each row of C
public record Product(long m, long n, long k, Type input, Type output, boolean biased)
    implements Multiplication {
  public Product {
    if (m < 1 || n < 1 || k < 1) {
      throw new IllegalArgumentException(
          "a product of [%d, %d] and [%d, %d]".formatted(m, k, n, k));
    }
  }

  /// Element types, with their numbers in `cudaDataType`.
  public enum Type {
    F32(0),
    F16(2),
    BF16(14);

    private final int code;

    Type(int code) {
      this.code = code;
    }

    int code() {
      return code;
    }
  }

  /// Multiplications and additions.
  public long flops() {
    return 2 * m * n * k;
  }

  @Override
  public String toString() {
    return "[%d, %d]·[%d, %d]ᵀ of %s to %s%s"
        .formatted(m, k, n, k, input, output, biased ? " with bias" : "");
  }
}
