package dev.nibble.runtime.tensor.shape;

import dev.nibble.formats.Shape;
import dev.nibble.runtime.tensor.Tensor;
import java.util.List;

/// Sizes of tensors, and the refusal of those that do not fit.
public final class Shapes {
  private Shapes() {}

  public static long[] dims(Tensor x) {
    List<Long> dims = x.shape().dims();
    long[] array = new long[dims.size()];
    for (int i = 0; i < array.length; i++) {
      array[i] = dims.get(i);
    }
    return array;
  }

  /// The shape with another size of one axis.
  public static Shape with(Tensor x, int axis, long size) {
    long[] dims = dims(x);
    dims[axis] = size;
    return Shape.of(dims);
  }

  public static Shape withLast(Tensor x, long size) {
    return with(x, x.rank() - 1, size);
  }

  /// Product of the sizes of axes `[begin, end)`.
  public static int product(Tensor x, int begin, int end) {
    long product = 1;
    for (int i = begin; i < end; i++) {
      product *= x.shape().dim(i);
    }
    return Math.toIntExact(product);
  }

  @SuppressWarnings("AnnotateFormatMethod") // its annotation would be a dependency more
  public static void require(boolean condition, String message, Object... arguments) {
    if (!condition) {
      throw new IllegalArgumentException(message.formatted(arguments));
    }
  }

  public static void requireRank(String operation, Tensor x, int rank, String axes) {
    require(x.rank() == rank, "%s of %s: expected %s", operation, x.shape(), axes);
  }

  public static void requireAxes(String operation, Tensor x) {
    require(x.rank() > 0, "%s of a tensor without axes", operation);
  }

  public static void requireSame(String operation, Tensor a, Tensor b) {
    require(
        a.shape().equals(b.shape()),
        "%s of %s and %s: shapes differ",
        operation,
        a.shape(),
        b.shape());
  }

  public static void requireAxis(String operation, Tensor x, int axis) {
    require(axis >= 0 && axis < x.rank(), "%s along axis %d of %s", operation, axis, x.shape());
  }

  /// A bias or a weight: one number for each of `size` features.
  public static void requireVector(String operation, Tensor x, long size) {
    require(
        x.rank() == 1 && x.shape().dim(0) == size,
        "%s with a vector of %s: expected [%d]",
        operation,
        x.shape(),
        size);
  }
}
