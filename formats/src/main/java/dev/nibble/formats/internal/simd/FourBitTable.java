package dev.nibble.formats.internal.simd;

/// A 4-bit codebook prepared for encoding: its 16 values in ascending order ("bins"), the code that
/// stands for each bin, and the 15 bounds between them.
///
/// A normalized value belongs to the bin whose number is the count of bounds strictly below it, so
/// a tie goes to the lower bin; NaN goes to bin 15. Bounds are float32 midpoints, as bitsandbytes'
/// CPU backend computes them (`backends/default/ops.py`, `_get_4bit_quantize_bounds`).
public final class FourBitTable {
  static final int BINS = 16;

  private final float[] sorted;
  private final float[] bounds;
  private final byte[] codes;
  private final FourBitCells cells;
  private final FourBitCells unfused;

  /// @param sorted 16 values, ascending; equal neighbours are allowed
  /// @param codes the code of each, a permutation of 0..15
  public FourBitTable(float[] sorted, byte[] codes) {
    if (sorted.length != BINS || codes.length != BINS) {
      throw new IllegalArgumentException("a 4-bit codebook has 16 values");
    }
    this.sorted = sorted.clone();
    this.codes = codes.clone();
    this.bounds = new float[BINS - 1];
    for (int i = 0; i < bounds.length; i++) {
      bounds[i] = (sorted[i] + sorted[i + 1]) / 2;
    }
    cells = new FourBitCells(this, true);
    unfused = new FourBitCells(this, false);
  }

  /// Number of bounds strictly below `value`; 15 for NaN.
  int bin(float value) {
    int bin = 0;
    for (float bound : bounds) {
      // Counted without a branch that could be mispredicted; negated, so that NaN comes out on top.
      bin += value <= bound ? 0 : 1;
    }
    return bin;
  }

  /// {@link #bin} of a value from -1 to 1 or NaN, without the four branches that no processor can
  /// predict; see {@link FourBitCells}.
  public int binOfNormalized(float value) {
    int cell =
        Float.floatToRawIntBits(value * FourBitCells.SCALE + FourBitCells.MAGIC)
            & (FourBitCells.CELLS - 1);
    int bin = unfused.below[cell] + (value > unfused.bound[cell] ? 1 : 0);
    for (float bound : unfused.spare) {
      bin += value > bound ? 1 : 0;
    }
    return Float.isNaN(value) ? BINS - 1 : bin;
  }

  /// The value of a bin.
  float value(int bin) {
    return sorted[bin];
  }

  /// The code that is stored for a bin.
  public int code(int bin) {
    return codes[bin];
  }

  /// The bound above bin `bin`, 0..14.
  float bound(int bin) {
    return bounds[bin];
  }

  FourBitCells cells() {
    return cells;
  }

  /// The values in the order of the codes, as a reader needs them.
  public float[] valuesByCode() {
    float[] values = new float[BINS];
    for (int bin = 0; bin < BINS; bin++) {
      values[codes[bin]] = sorted[bin];
    }
    return values;
  }
}
