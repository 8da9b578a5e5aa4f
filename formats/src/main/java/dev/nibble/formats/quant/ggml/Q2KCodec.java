package dev.nibble.formats.quant.ggml;

import dev.nibble.formats.internal.simd.BlockBytes;
import dev.nibble.formats.internal.simd.BlockKind;
import dev.nibble.formats.internal.simd.BlockSearch.Trials;
import dev.nibble.formats.internal.simd.GgmlKernels;
import dev.nibble.formats.internal.simd.SearchGroups.Weighting;

/// Q2_K: 256 elements in 84 bytes, `x = d * sc * q - dmin * m`, `sc` and `m` of four bits for each
/// group of 16.
///
/// ```
/// byte  0                 16                                80     82     84
///       ┌─────────────────┬─────────────────────────────────┬──────┬──────┐
///       │ scales[16]      │ qs[64]                          │ d    │ dmin │
///       │ low nibble:  sc │ byte 32 * h + l, bits 2s, 2s+1: │ half │ half │
///       │ high nibble: m  │ element 128 * h + 32 * s + l    │      │      │
///       └─────────────────┴─────────────────────────────────┴──────┴──────┘
/// ```
final class Q2KCodec extends ScaleMinCodec {
  private static final int BYTES = GgmlType.Q2_K.blockBytes();
  private static final int CODES = 16;
  private static final int SCALE = 80;

  private static final GgmlKernels.Decode DECODE =
      GgmlKernels.decoder(BlockKind.Q2_K, Q2KCodec::decodeBlocks);

  Q2KCodec() {
    super(
        GgmlType.Q2_K,
        16,
        15,
        new Trials(3, -0.5f, 0.1f, 15, true, Weighting.MAGNITUDE),
        new Trials(3, -0.9f, 0.05f, 36, false, Weighting.GIVEN),
        1,
        DECODE);
  }

  @Override
  int scaleAt() {
    return SCALE;
  }

  @Override
  void storeScales(int[] scales, int[] mins, byte[] bytes, int at) {
    for (int group = 0; group < 16; group++) {
      bytes[at + group] = (byte) (scales[group] | (mins[group] << 4));
    }
  }

  @Override
  void storeCodes(byte[] codes, int from, byte[] bytes, int at) {
    TwoBitCodes.store(codes, from, bytes, at + CODES);
  }

  static void decodeBlocks(byte[] blocks, float[] x, int from, int count) {
    int block = 0;
    for (int first = from; first < from + count; first += SIZE, block += BYTES) {
      float d = BlockBytes.half(blocks, block + SCALE);
      float dMin = BlockBytes.half(blocks, block + SCALE + 2);
      for (int group = 0; group < 16; group++) {
        int both = BlockBytes.unsigned(blocks, block + group);
        float scale = d * (both & 15);
        float min = dMin * (both >> 4);
        for (int i = group * 16; i < group * 16 + 16; i++) {
          x[first + i] = scale * TwoBitCodes.get(blocks, block + CODES, i) - min;
        }
      }
    }
  }
}
