package dev.nibble.formats.internal.simd;

import dev.nibble.formats.DType;

/// The reference for {@link VectorFourBit}, and what runs where the Vector API doesn't.
///
/// Source of the arithmetic: bitsandbytes `backends/default/ops.py`, `quantize_4bit`.
public final class ScalarFourBit implements FourBitKernel {
  /// What bitsandbytes keeps the divisor above.
  private static final float TINY = 1e-38f;

  @Override
  public void encode(FourBitTable table, FourBitChunk chunk, int blocks) {
    for (int block = 0; block < blocks; block++) {
      encodeBlock(table, chunk, block);
    }
  }

  static void encodeBlock(FourBitTable table, FourBitChunk chunk, int block) {
    int begin = block * chunk.blockSize;
    int end = begin + chunk.blockSize;
    int magnitude = 0;
    for (int i = begin; i < end; i++) {
      magnitude = Math.max(magnitude, Float.floatToRawIntBits(chunk.value(i)) & Integer.MAX_VALUE);
    }
    float absmax = magnitudeOf(magnitude);
    float reciprocal = 1f / Math.max(absmax, TINY);
    BlockError error = new BlockError(absmax);
    for (int i = begin; i < end; i += 2) {
      float first = chunk.value(i);
      float second = chunk.value(i + 1);
      int high = table.binOfNormalized(first * reciprocal);
      int low = table.binOfNormalized(second * reciprocal);
      chunk.codes[i >> 1] = (byte) (table.code(high) << 4 | table.code(low));
      error.add(first, table.value(high));
      error.add(second, table.value(low));
    }
    error.store(chunk, block);
  }

  /// Quantizes a last, short block, which bitsandbytes treats differently: a true division by an
  /// absmax of at least 1e-38, which is also what it stores. An odd count is padded with the code
  /// of 0. Codes and statistics go to the front of `result`.
  public static void encodeShort(
      FourBitTable table, float[] source, int count, FourBitChunk result) {
    int magnitude = 0;
    for (int i = 0; i < count; i++) {
      magnitude = Math.max(magnitude, Float.floatToRawIntBits(source[i]) & Integer.MAX_VALUE);
    }
    float absmax = Math.max(magnitudeOf(magnitude), TINY);
    BlockError error = new BlockError(absmax);
    int high = 0;
    for (int i = 0; i < count; i++) {
      int bin = table.bin(source[i] / absmax);
      error.add(source[i], table.value(bin));
      if ((i & 1) == 0) {
        high = table.code(bin) << 4;
        result.codes[i >> 1] = (byte) (high | table.code(table.bin(0f)));
      } else {
        result.codes[i >> 1] = (byte) (high | table.code(bin));
      }
    }
    error.store(result, 0);
  }

  /// The float of a largest magnitude compared as int: NaN is above infinity, and made the usual
  /// one.
  private static float magnitudeOf(int bits) {
    float magnitude = Float.intBitsToFloat(bits);
    return Float.isNaN(magnitude) ? Float.NaN : magnitude;
  }

  @Override
  public void tables(float[] codebook, float[] absmax, int blocks, float[] tables) {
    for (int i = 0; i < blocks * 16; i++) {
      tables[i] = codebook[i & 15] * absmax[i >> 4];
    }
  }

  @Override
  public void round(float[] values, int count, DType type, short[] target) {
    for (int i = 0; i < count; i++) {
      target[i] =
          type == DType.BF16 ? ScalarFloats.toBf16(values[i]) : ScalarFloats.toF16(values[i]);
    }
  }

  @Override
  public void lookup(byte[] codes, int blocks, int blockSize, float[] tables, float[] target) {
    int bytes = blockSize / 2;
    for (int i = 0; i < blocks * bytes; i++) {
      int table = i / bytes * 16;
      target[2 * i] = tables[table + ((codes[i] >> 4) & 15)];
      target[2 * i + 1] = tables[table + (codes[i] & 15)];
    }
  }

  @Override
  public void lookup(byte[] codes, int blocks, int blockSize, short[] tables, short[] target) {
    int bytes = blockSize / 2;
    for (int i = 0; i < blocks * bytes; i++) {
      int table = i / bytes * 16;
      target[2 * i] = tables[table + ((codes[i] >> 4) & 15)];
      target[2 * i + 1] = tables[table + (codes[i] & 15)];
    }
  }

  @Override
  public void sumErrors(FourBitErrors errors, float[] exact, float[] decoded, int count) {
    for (int i = 0; i < count; i++) {
      errors.add(i, exact[i], decoded[i]);
    }
  }

  /// Sums up the statistics of one block; see {@link FourBitChunk}.
  private static final class BlockError {
    private final float absmax;
    private final double scale;
    private double squared;
    private double cross;
    private double norm;
    private float worst;

    BlockError(float absmax) {
      this.absmax = absmax;
      this.scale = 1.0 / absmax;
    }

    void add(float value, float code) {
      double difference = value - (double) code * absmax;
      double relative = difference * scale;
      squared += relative * relative;
      cross += relative * code;
      norm += (double) code * code;
      worst = Math.max(worst, (float) Math.abs(difference));
    }

    void store(FourBitChunk chunk, int block) {
      boolean counts = absmax > 0 && absmax < Float.POSITIVE_INFINITY;
      chunk.absmax[block] = absmax;
      int at = block * FourBitChunk.STATISTICS;
      chunk.statistics[at] = counts ? (float) squared : 0;
      chunk.statistics[at + 1] = counts ? (float) cross : 0;
      chunk.statistics[at + 2] = counts ? (float) norm : 0;
      chunk.statistics[at + 3] = counts ? worst : 0;
    }
  }
}
