package dev.nibble.formats.quant.ggml;

import dev.nibble.formats.internal.simd.BlockBytes;
import dev.nibble.formats.internal.simd.BlockKind;
import dev.nibble.formats.internal.simd.BlockSearch.Trials;
import dev.nibble.formats.internal.simd.GgmlKernels;
import dev.nibble.formats.internal.simd.SearchGroups.Weighting;

/// Q5_K: 256 elements in 176 bytes, `x = d * sc * q - dmin * m`, `sc` and `m` of six bits for each
/// group of 32.
///
/// ```
/// byte  0      2      4             16                48                              176
///       ┌──────┬──────┬─────────────┬─────────────────┬──────────────────────────────┐
///       │ d    │ dmin │ scales[12]  │ qh[32]          │ qs[128]                      │
///       │ half │ half │ as in Q4_K  │ byte l, bit g:  │ byte 32 * p + l, p = 0 .. 3: │
///       │      │      │             │ bit 4 of        │ low nibble:  group 2p,   l   │
///       │      │      │             │ element l       │ high nibble: group 2p+1, l   │
///       │      │      │             │ of group g      │                              │
///       └──────┴──────┴─────────────┴─────────────────┴──────────────────────────────┘
/// ```
final class Q5KCodec extends ScaleMinCodec {
  private static final int BYTES = GgmlType.Q5_K.blockBytes();
  private static final int SCALES = 4;
  private static final int FIFTH_BITS = 16;
  private static final int CODES = 48;

  private static final GgmlKernels.Decode DECODE =
      GgmlKernels.decoder(BlockKind.Q5_K, Q5KCodec::decodeBlocks);

  Q5KCodec() {
    super(
        GgmlType.Q5_K,
        32,
        63,
        new Trials(31, -0.5f, 0.1f, 15, false, Weighting.RMS_AND_MAGNITUDE),
        new Trials(31, -0.9f, 0.05f, 36, false, Weighting.GIVEN),
        2,
        DECODE);
  }

  @Override
  int scaleAt() {
    return 0;
  }

  @Override
  void storeScales(int[] scales, int[] mins, byte[] bytes, int at) {
    SixBitScales.store(scales, mins, bytes, at + SCALES);
  }

  @Override
  void storeCodes(byte[] codes, int from, byte[] bytes, int at) {
    for (int pair = 0; pair < 4; pair++) {
      int low = from + pair * 64;
      int target = at + CODES + pair * 32;
      for (int l = 0; l < 32; l++) {
        bytes[target + l] = (byte) ((codes[low + l] & 15) | (codes[low + 32 + l] << 4));
      }
    }
    for (int l = 0; l < 32; l++) {
      int bits = 0;
      for (int group = 0; group < 8; group++) {
        bits |= (codes[from + group * 32 + l] >> 4) << group;
      }
      bytes[at + FIFTH_BITS + l] = (byte) bits;
    }
  }

  static void decodeBlocks(byte[] blocks, float[] x, int from, int count) {
    int block = 0;
    for (int first = from; first < from + count; first += SIZE, block += BYTES) {
      float d = BlockBytes.half(blocks, block);
      float dMin = BlockBytes.half(blocks, block + 2);
      for (int group = 0; group < 8; group++) {
        float scale = d * SixBitScales.scale(blocks, block + SCALES, group);
        float min = dMin * SixBitScales.min(blocks, block + SCALES, group);
        int shift = group % 2 * 4;
        int codes = block + CODES + group / 2 * 32;
        for (int l = 0; l < 32; l++) {
          int fifth = (BlockBytes.unsigned(blocks, block + FIFTH_BITS + l) >> group) & 1;
          int q = ((BlockBytes.unsigned(blocks, codes + l) >> shift) & 15) | (fifth << 4);
          x[first + group * 32 + l] = scale * q - min;
        }
      }
    }
  }
}
