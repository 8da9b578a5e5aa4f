package dev.nibble.converter.linalg;

import dev.nibble.converter.linalg.simd.GemmKernel;
import dev.nibble.formats.LittleEndian;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/// Products of some rows and a matrix, a strip of columns at a time. For one thread.
final class Strips {
  /// Steps of a product that are loaded at once: with a strip's width, a part of the first cache.
  private static final int STEPS = 128;

  private final GemmKernel kernel = GemmKernel.best();
  private final int rows;
  private final int columns;
  private final float[] values;
  private final float[] panel = new float[STEPS * kernel.width()];
  private final float[] products;

  /// @param values `[rows, columns]`, row-major
  Strips(float[] values, int rows, int columns) {
    this.values = values;
    this.rows = rows;
    this.columns = columns;
    this.products = new float[rows * kernel.width()];
  }

  int width() {
    return kernel.width();
  }

  /// The strip's products so far, `[rows, width]`.
  float[] products() {
    return products;
  }

  void clear() {
    Arrays.fill(products, 0);
  }

  /// Adds `values[:, from:to] · M[from:to, column:column + count]`, of an F32 matrix M whose rows
  /// are as long as those of the values.
  void addRows(MemorySegment matrix, int from, int to, int column, int count) {
    int width = width();
    Arrays.fill(panel, 0);
    for (int first = from; first < to; first += STEPS) {
      int steps = Math.min(STEPS, to - first);
      for (int i = 0; i < steps; i++) {
        long at = 4 * ((long) (first + i) * columns + column);
        MemorySegment.copy(matrix, LittleEndian.FLOAT, at, panel, i * width, count);
      }
      kernel.addProduct(values, first, columns, rows, steps, panel, 0, products, 0, width);
    }
  }

  /// Adds `values · M[row:row + count, :]ᵀ`, of such a matrix.
  void addColumns(MemorySegment matrix, int row, int count) {
    int width = width();
    float[] line = new float[STEPS];
    Arrays.fill(panel, 0);
    for (int first = 0; first < columns; first += STEPS) {
      int steps = Math.min(STEPS, columns - first);
      for (int j = 0; j < count; j++) {
        long at = 4 * ((long) (row + j) * columns + first);
        MemorySegment.copy(matrix, LittleEndian.FLOAT, at, line, 0, steps);
        for (int i = 0; i < steps; i++) {
          panel[i * width + j] = line[i];
        }
      }
      kernel.addProduct(values, first, columns, rows, steps, panel, 0, products, 0, width);
    }
  }
}
