package dev.nibble.converter.linalg;

import java.lang.foreign.MemorySegment;

/// Products of whole matrices that are small enough to be arrays.
public final class Products {
  private Products() {}

  /// `A·Bᵀ`, `[rows, others]`: outputs of `rows` rows of a weight for `others` tokens.
  ///
  /// @param a `[rows, columns]`, row-major
  /// @param b `[others, columns]`, row-major
  public static float[] transposed(float[] a, int rows, float[] b, int others, int columns) {
    Strips strips = new Strips(a, rows, columns);
    MemorySegment matrix = MemorySegment.ofArray(b);
    float[] product = new float[Math.multiplyExact(rows, others)];
    for (int first = 0; first < others; first += strips.width()) {
      int width = Math.min(strips.width(), others - first);
      strips.clear();
      strips.addColumns(matrix, first, width);
      for (int i = 0; i < rows; i++) {
        System.arraycopy(strips.products(), i * strips.width(), product, i * others + first, width);
      }
    }
    return product;
  }
}
