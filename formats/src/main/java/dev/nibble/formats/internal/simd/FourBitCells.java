package dev.nibble.formats.internal.simd;

import java.util.Arrays;

/// A {@link FourBitTable} for vectors: [-1, 1] is cut in 31 equal cells, narrow enough that each
/// holds at most one bound, so that the bin of a value is the number of bounds below its cell, plus
/// one where the value is above the bound inside. That is one table of bounds and one of counts,
/// both of 32 entries, instead of the four dependent steps of a binary search.
///
/// The cell of `v` is the lowest five bits of the float32 `fma(v, 15, MAGIC)`, whose exponent makes
/// its last bit worth 1. Rounding is monotonic, so values in different cells than a bound lie on
/// the side of it that their cell says: the bin is exact.
///
/// FP4 has two bounds more next to that at zero: such spare ones, the same for all cells, are
/// compared with every value.
final class FourBitCells {
  static final float SCALE = 15;
  static final float MAGIC = 0x1.8p23f + 16;

  static final int CELLS = 32;

  /// Float32 bits of the bound in each cell, infinity where there is none.
  final int[] bounds = new int[CELLS];

  /// {@link #bounds} as floats.
  final float[] bound = new float[CELLS];

  /// Number of bounds below each cell, spare ones not counted.
  final int[] below = new int[CELLS];

  /// Float32 bits of the value of each bin.
  final int[] values = new int[FourBitTable.BINS];

  /// Code of each bin.
  final int[] codes = new int[FourBitTable.BINS];

  /// Bounds that share their cell with another.
  final float[] spare;

  /// Whether bin and code are the same and no bound is spare.
  final boolean simple;

  /// @param fused whether users find cells with a fused multiply-add; it rounds once, so that edges
  ///   between cells lie elsewhere than with two roundings
  FourBitCells(FourBitTable table, boolean fused) {
    Arrays.fill(bound, Float.POSITIVE_INFINITY);
    boolean[] taken = new boolean[CELLS];
    float[] extra = new float[FourBitTable.BINS];
    int extras = 0;
    boolean identity = true;
    for (int bin = 0; bin < FourBitTable.BINS; bin++) {
      values[bin] = Float.floatToRawIntBits(table.value(bin));
      codes[bin] = table.code(bin);
      identity &= codes[bin] == bin;
      if (bin == FourBitTable.BINS - 1) {
        break;
      }
      float next = table.bound(bin);
      float shifted = fused ? Math.fma(next, SCALE, MAGIC) : next * SCALE + MAGIC;
      int cell = Float.floatToRawIntBits(shifted) & (CELLS - 1);
      if (taken[cell]) {
        extra[extras++] = next;
        continue;
      }
      taken[cell] = true;
      bound[cell] = next;
      for (int above = cell + 1; above < CELLS; above++) {
        below[above]++;
      }
    }
    for (int i = 0; i < CELLS; i++) {
      bounds[i] = Float.floatToRawIntBits(bound[i]);
    }
    spare = Arrays.copyOf(extra, extras);
    simple = identity && extras == 0;
    if (extras != 0 && extras != 2) {
      throw new IllegalArgumentException("a codebook with " + extras + " bounds too close");
    }
  }
}
