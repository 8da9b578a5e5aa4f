package dev.nibble.converter.linalg;

import java.lang.foreign.MemorySegment;

/// `d·G·dᵀ` by tiles of G's upper triangle; what lies below the diagonal counts twice above it.
record GramEnergy(MemorySegment gram, int features, long tokens) implements OutputEnergy {
  /// Side of a tile: 256 KiB, a part of the second cache.
  private static final int SIDE = 256;

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
    float[][] tile = new float[SIDE][SIDE];
    float[] product = new float[SIDE];
    for (int column = 0; column < features; column += SIDE) {
      int width = Math.min(SIDE, features - column);
      for (int row = 0; row <= column; row += SIDE) {
        int height = Math.min(SIDE, features - row);
        Tile.load(gram, features, row, height, column, width, tile);
        double weight = row == column ? 1 : 2;
        for (int i = 0; i < count; i++) {
          int at = i * features;
          Tile.multiply(rows, at + row, height, tile, width, product);
          sums[i] += weight * dot(rows, at + column, product, width);
        }
      }
    }
    for (int i = 0; i < count; i++) {
      // G is positive semidefinite; rounding is not.
      sums[i] = Math.max(0, sums[i]) / tokens;
    }
    return sums;
  }

  private static double dot(float[] rows, int at, float[] product, int width) {
    double sum = 0;
    for (int j = 0; j < width; j++) {
      sum += (double) rows[at + j] * product[j];
    }
    return sum;
  }
}
