package dev.nibble.formats.quant.ggml;

import dev.nibble.formats.internal.simd.BlockBytes;

/// The 64 bytes in which Q2_K and Q3_K keep the lower two bits of 256 codes: byte `32 * h + l`
/// holds those of element `128 * h + 32 * s + l` in its bits `2s` and `2s + 1`.
final class TwoBitCodes {
  private TwoBitCodes() {}

  static void store(byte[] codes, int from, byte[] bytes, int at) {
    for (int half = 0; half < 2; half++) {
      int low = from + half * 128;
      for (int l = 0; l < 32; l++) {
        bytes[at + half * 32 + l] =
            (byte)
                ((codes[low + l] & 3)
                    | ((codes[low + 32 + l] & 3) << 2)
                    | ((codes[low + 64 + l] & 3) << 4)
                    | (codes[low + 96 + l] << 6));
      }
    }
  }

  static int get(byte[] blocks, int at, int element) {
    int shift = element / 32 % 4 * 2;
    return (BlockBytes.unsigned(blocks, at + element / 128 * 32 + element % 32) >> shift) & 3;
  }
}
