package dev.nibble.formats.internal.simd;

import dev.nibble.formats.DType;

/// The arithmetic of 4-bit blocks. Stateless and safe for many threads; every implementation gives
/// the same bytes, and block statistics that differ by float32 rounding at most.
public interface FourBitKernel {
  /// The fastest kernel for this machine.
  static FourBitKernel best() {
    return Simd.isVector() && VectorFourBit.isSupported()
        ? Simd.choose(
            () -> new ScalarFourBit(), () -> new WarmingFourBit(), () -> new VectorFourBit())
        : new ScalarFourBit();
  }

  /// Quantizes the first `blocks` blocks of a loaded chunk: full blocks, that is scaled by the
  /// float32 reciprocal of their absmax. The first element of a pair goes to the high nibble.
  void encode(FourBitTable table, FourBitChunk chunk, int blocks);

  /// Computes the 16 values of each block in float32: `tables[16 * block + code]` becomes
  /// `codebook[code] * absmax[block]`.
  void tables(float[] codebook, float[] absmax, int blocks, float[] tables);

  /// Rounds to BF16 or F16, to nearest even; NaN stays NaN.
  ///
  /// @param count a multiple of 16
  void round(float[] values, int count, DType type, short[] target);

  /// Looks up codes in the table of their block: element `i` of the target is `tables[16 * (i /
  /// blockSize) + code(i)]`.
  ///
  /// @param codes two to a byte, `blocks * blockSize / 2` bytes
  /// @param tables 16 values for each block, then 16 entries of no meaning
  void lookup(byte[] codes, int blocks, int blockSize, float[] tables, float[] target);

  /// {@link #lookup} for values of 16 bits.
  void lookup(byte[] codes, int blocks, int blockSize, short[] tables, short[] target);

  /// Adds the first `count` blocks to the sums of `errors`.
  ///
  /// @param exact absmax of the blocks as they were encoded
  /// @param decoded absmax as a reader computes it
  void sumErrors(FourBitErrors errors, float[] exact, float[] decoded, int count);
}
