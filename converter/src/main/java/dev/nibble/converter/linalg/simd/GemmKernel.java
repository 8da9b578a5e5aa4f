package dev.nibble.converter.linalg.simd;

import dev.nibble.formats.internal.simd.Simd;

/// The inner loop of matrix products: a strip of a few columns of the result.
///
/// Every sum is made of fused multiply-adds in the order of the steps, whatever the implementation
/// and however many rows a call has, so that results do not depend on how work is cut.
public interface GemmKernel {
  /// The fastest kernel for this machine.
  static GemmKernel best() {
    return Simd.choose(() -> new ScalarGemm(32), () -> new WarmingGemm(), () -> new VectorGemm());
  }

  /// Columns of a strip: a power of two, at most 128.
  int width();

  /// `C += A · B` for matrices C `[rows, width]`, A `[rows, steps]` and B `[steps, width]`, all
  /// row-major. C is another array than A and B.
  ///
  /// @param b rows of {@link #width()}, one after the other from `bAt`
  void addProduct(
      float[] a,
      int aAt,
      int aStride,
      int rows,
      int steps,
      float[] b,
      int bAt,
      float[] c,
      int cAt,
      int cStride);
}
