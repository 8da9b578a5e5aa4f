package dev.nibble.converter.linalg;

import java.lang.foreign.MemorySegment;

/// `d·G·dᵀ` by strips of G's upper triangle; what lies below the diagonal is counted there twice.
record GramEnergy(MemorySegment gram, int features, long tokens) implements OutputEnergy {
  GramEnergy {
    if (gram.byteSize() != 4L * features * features || tokens < 1) {
      throw new IllegalArgumentException(
          gram.byteSize() + " bytes are not XᵀX of " + features + " features");
    }
  }

  @Override
  public OutputEnergy compact() {
    return this;
  }

  @Override
  public double[] each(float[] rows, int count) {
    double[] sums = new double[count];
    Strips strips = new Strips(rows, count, features);
    float[] products = strips.products();
    for (int column = 0; column < features; column += strips.width()) {
      int width = Math.min(strips.width(), features - column);
      strips.clear();
      strips.addRows(gram, 0, column, column, width);
      for (int i = 0; i < products.length; i++) {
        products[i] *= 2;
      }
      strips.addRows(gram, column, column + width, column, width);
      for (int i = 0; i < count; i++) {
        for (int j = 0; j < width; j++) {
          sums[i] += (double) rows[i * features + column + j] * products[i * strips.width() + j];
        }
      }
    }
    for (int i = 0; i < count; i++) {
      // G is positive semidefinite; rounding is not.
      sums[i] = Math.max(0, sums[i]) / tokens;
    }
    return sums;
  }
}
