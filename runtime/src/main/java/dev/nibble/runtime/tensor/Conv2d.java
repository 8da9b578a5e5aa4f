package dev.nibble.runtime.tensor;

/// Geometry of a two-dimensional convolution.
///
/// @param kernel height and width of the kernel
/// @param stride in both directions
/// @param top rows of zeros above; `left`, `bottom` and `right` likewise
public record Conv2d(int kernel, int stride, int top, int left, int bottom, int right) {
  /// 3x3 with one row of zeros around: the size stays.
  public static final Conv2d SAME_3X3 = new Conv2d(3, 1, 1, 1, 1, 1);

  /// 1x1.
  public static final Conv2d POINTWISE = new Conv2d(1, 1, 0, 0, 0, 0);

  /// Height of the output for a height of the input.
  public int outHeight(int height) {
    return (height + top + bottom - kernel) / stride + 1;
  }

  /// Width of the output for a width of the input.
  public int outWidth(int width) {
    return (width + left + right - kernel) / stride + 1;
  }
}
