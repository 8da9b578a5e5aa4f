package dev.nibble.converter.linalg;

import dev.nibble.formats.LittleEndian;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/// Products of a row and a tile of a matrix, an array for each of the tile's rows: the shape that
/// the JIT vectorizes (eight loads and products to a store).
final class Tile {
  private static final int UNROLL = 8;

  private Tile() {}

  /// Copies rows `[row, row + height)`, columns `[column, column + width)` of an F32 matrix.
  static void load(
      MemorySegment matrix,
      int columns,
      int row,
      int height,
      int column,
      int width,
      float[][] tile) {
    for (int i = 0; i < height; i++) {
      long at = 4 * ((long) (row + i) * columns + column);
      MemorySegment.copy(matrix, LittleEndian.FLOAT, at, tile[i], 0, width);
    }
  }

  /// `to[j][i] = from[i][j]` for `count` i and `length` j.
  static void transpose(float[][] from, int count, int length, float[][] to) {
    for (int i = 0; i < count; i++) {
      for (int j = 0; j < length; j++) {
        to[j][i] = from[i][j];
      }
    }
  }

  /// `product[j] = Σ_k row[at + k] · tile[k][j]` for `height` k and `width` j.
  static void multiply(
      float[] row, int at, int height, float[][] tile, int width, float[] product) {
    Arrays.fill(product, 0, width, 0);
    int k = 0;
    for (; k + UNROLL <= height; k += UNROLL) {
      addEight(row, at + k, tile, k, width, product);
    }
    for (; k < height; k++) {
      addOne(row[at + k], tile[k], width, product);
    }
  }

  private static void addOne(float a, float[] t, int width, float[] product) {
    for (int j = 0; j < width; j++) {
      product[j] = Math.fma(a, t[j], product[j]);
    }
  }

  private static void addEight(
      float[] row, int at, float[][] tile, int k, int width, float[] product) {
    float a0 = row[at];
    float a1 = row[at + 1];
    float a2 = row[at + 2];
    float a3 = row[at + 3];
    float a4 = row[at + 4];
    float a5 = row[at + 5];
    float a6 = row[at + 6];
    float a7 = row[at + 7];
    float[] t0 = tile[k];
    float[] t1 = tile[k + 1];
    float[] t2 = tile[k + 2];
    float[] t3 = tile[k + 3];
    float[] t4 = tile[k + 4];
    float[] t5 = tile[k + 5];
    float[] t6 = tile[k + 6];
    float[] t7 = tile[k + 7];
    for (int j = 0; j < width; j++) {
      float sum = Math.fma(a0, t0[j], product[j]);
      sum = Math.fma(a1, t1[j], sum);
      sum = Math.fma(a2, t2[j], sum);
      sum = Math.fma(a3, t3[j], sum);
      sum = Math.fma(a4, t4[j], sum);
      sum = Math.fma(a5, t5[j], sum);
      sum = Math.fma(a6, t6[j], sum);
      product[j] = Math.fma(a7, t7[j], sum);
    }
  }
}
