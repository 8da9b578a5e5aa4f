package dev.nibble.runtime.tensor;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;

/// A dense array of numbers in row-major order, borrowed from the owner of its buffer. It has no
/// arithmetic: that is {@link Ops}. Several tensors may share one buffer ({@link #reshape}, {@link
/// #rows}).
///
/// @param dtype element type; {@link DType#F32} on the CPU
/// @param shape sizes, slowest axis first
/// @param buffer where the elements lie
/// @param offset of the first element in the buffer, in elements
public record Tensor(DType dtype, Shape shape, Buffer buffer, long offset) {
  public Tensor {
    if (offset < 0 || offset + shape.elements() > buffer.capacity()) {
      throw new IllegalArgumentException(
          "a tensor of %s at %d does not fit a buffer of %d elements"
              .formatted(shape, offset, buffer.capacity()));
    }
  }

  /// Number of axes.
  public int rank() {
    return shape.rank();
  }

  /// Size of an axis as an `int`; a negative axis counts from the end (-1 is the last).
  public int dim(int axis) {
    return Math.toIntExact(shape.dim(axis < 0 ? axis + shape.rank() : axis));
  }

  /// Number of elements as an `int`.
  public int elements() {
    return Math.toIntExact(shape.elements());
  }

  /// The same elements under another shape; nothing is copied.
  public Tensor reshape(long... dims) {
    Shape other = Shape.of(dims);
    if (other.elements() != shape.elements()) {
      throw new IllegalArgumentException("cannot see %s as %s".formatted(shape, other));
    }
    return new Tensor(dtype, other, buffer, offset);
  }

  /// Entries `[begin, end)` of the first axis; nothing is copied.
  public Tensor rows(long begin, long end) {
    long count = shape.dim(0);
    if (begin < 0 || end < begin || end > count) {
      throw new IllegalArgumentException(
          "rows [%d, %d) of a tensor of %s".formatted(begin, end, shape));
    }
    long[] dims = shape.dims().stream().mapToLong(Long::longValue).toArray();
    dims[0] = end - begin;
    long row = count == 0 ? 0 : shape.elements() / count;
    return new Tensor(dtype, Shape.of(dims), buffer, offset + begin * row);
  }
}
