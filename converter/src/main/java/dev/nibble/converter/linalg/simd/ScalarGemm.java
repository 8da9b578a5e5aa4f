package dev.nibble.converter.linalg.simd;

/// The reference for {@link VectorGemm}, and what runs where the Vector API doesn't.
final class ScalarGemm implements GemmKernel {
  private final int width;

  ScalarGemm(int width) {
    this.width = width;
  }

  @Override
  public int width() {
    return width;
  }

  @Override
  public void addProduct(
      float[] a,
      int aAt,
      int aStride,
      int rows,
      int steps,
      float[] b,
      int bAt,
      float[] c,
      int cAt,
      int cStride) {
    for (int row = 0; row < rows; row++) {
      for (int step = 0; step < steps; step++) {
        add(a[aAt + row * aStride + step], b, bAt + step * width, c, cAt + row * cStride);
      }
    }
  }

  private void add(float factor, float[] b, int bAt, float[] c, int cAt) {
    for (int i = 0; i < width; i++) {
      c[cAt + i] = Math.fma(factor, b[bAt + i], c[cAt + i]);
    }
  }
}
