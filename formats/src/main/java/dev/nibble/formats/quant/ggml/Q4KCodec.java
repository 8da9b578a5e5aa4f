package dev.nibble.formats.quant.ggml;

import dev.nibble.formats.internal.simd.BlockBytes;
import dev.nibble.formats.internal.simd.BlockKind;
import dev.nibble.formats.internal.simd.BlockSearch.Trials;
import dev.nibble.formats.internal.simd.GgmlKernels;
import dev.nibble.formats.internal.simd.SearchGroups.Weighting;

/// Q4_K: 256 elements in 144 bytes, `x = d * sc * q - dmin * m`, `sc` and `m` of six bits for each
/// group of 32.
///
/// ```
/// byte  0      2      4             16                              144
///       ┌──────┬──────┬─────────────┬──────────────────────────────┐
///       │ d    │ dmin │ scales[12]  │ qs[128]                      │
///       │ half │ half │ see below   │ byte 32 * p + l, p = 0 .. 3: │
///       │      │      │             │ low nibble:  group 2p,   l   │
///       │      │      │             │ high nibble: group 2p+1, l   │
///       └──────┴──────┴─────────────┴──────────────────────────────┘
///
/// scales   bits 0-5           bits 6-7
/// byte 0-3 sc of group 0-3    sc of group 4-7, bits 4-5
/// byte 4-7 m of group 0-3     m of group 4-7, bits 4-5
/// byte 8-11: low nibble sc, high nibble m of group 4-7, bits 0-3
/// ```
final class Q4KCodec extends ScaleMinCodec {
  private static final int BYTES = GgmlType.Q4_K.blockBytes();
  private static final int SCALES = 4;
  private static final int CODES = 16;

  private static final GgmlKernels.Decode DECODE =
      GgmlKernels.decoder(BlockKind.Q4_K, Q4KCodec::decodeBlocks);

  Q4KCodec() {
    super(
        GgmlType.Q4_K,
        32,
        63,
        new Trials(15, -1, 0.1f, 20, false, Weighting.RMS_AND_MAGNITUDE),
        new Trials(15, -0.9f, 0.05f, 36, false, Weighting.GIVEN),
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
        bytes[target + l] = (byte) (codes[low + l] | (codes[low + 32 + l] << 4));
      }
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
          int q = (BlockBytes.unsigned(blocks, codes + l) >> shift) & 15;
          x[first + group * 32 + l] = scale * q - min;
        }
      }
    }
  }
}
