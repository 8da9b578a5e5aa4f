package dev.nibble.formats.quant.ggml;

import dev.nibble.formats.internal.simd.BlockBytes;

/// The 12 bytes in which Q4_K and Q5_K keep the scales and minima of 8 groups, six bits each; drawn
/// at {@link Q4KCodec}.
final class SixBitScales {
  private SixBitScales() {}

  static void store(int[] scales, int[] mins, byte[] bytes, int at) {
    for (int i = 0; i < 4; i++) {
      bytes[at + i] = (byte) (scales[i] | ((scales[i + 4] >> 4) << 6));
      bytes[at + 4 + i] = (byte) (mins[i] | ((mins[i + 4] >> 4) << 6));
      bytes[at + 8 + i] = (byte) ((scales[i + 4] & 15) | (mins[i + 4] << 4));
    }
  }

  static int scale(byte[] blocks, int at, int group) {
    return group < 4
        ? BlockBytes.unsigned(blocks, at + group) & 63
        : (BlockBytes.unsigned(blocks, at + 4 + group) & 15)
            | ((BlockBytes.unsigned(blocks, at + group - 4) >> 6) << 4);
  }

  static int min(byte[] blocks, int at, int group) {
    return group < 4
        ? BlockBytes.unsigned(blocks, at + 4 + group) & 63
        : (BlockBytes.unsigned(blocks, at + 4 + group) >> 4)
            | ((BlockBytes.unsigned(blocks, at + group) >> 6) << 4);
  }
}
