package dev.nibble.formats;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/// Dimensions of a tensor, outermost first, as PyTorch and safetensors list them.
///
/// @param dims sizes, each at least 0; empty for a scalar
public record Shape(List<Long> dims) {
  public Shape {
    dims = List.copyOf(dims);
    for (long dim : dims) {
      if (dim < 0) {
        throw new IllegalArgumentException("negative dimension in " + dims);
      }
    }
  }

  public static Shape of(long... dims) {
    return new Shape(Arrays.stream(dims).boxed().toList());
  }

  public int rank() {
    return dims.size();
  }

  public long dim(int index) {
    return dims.get(index);
  }

  /// The innermost dimension; 1 for a scalar.
  public long last() {
    return dims.isEmpty() ? 1 : dims.getLast();
  }

  /// Number of elements; 1 for a scalar.
  ///
  /// @throws ArithmeticException if it overflows a long
  public long elements() {
    long product = 1;
    for (long dim : dims) {
      product = Math.multiplyExact(product, dim);
    }
    return product;
  }

  /// As people write it: `3072x64`, or `scalar`.
  @Override
  public String toString() {
    return dims.isEmpty()
        ? "scalar"
        : dims.stream().map(String::valueOf).collect(Collectors.joining("x"));
  }
}
