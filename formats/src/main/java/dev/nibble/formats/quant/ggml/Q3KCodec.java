package dev.nibble.formats.quant.ggml;

import dev.nibble.formats.internal.simd.BlockBytes;
import dev.nibble.formats.internal.simd.BlockKind;
import dev.nibble.formats.internal.simd.GgmlKernels;
import dev.nibble.formats.internal.simd.GgmlMath;
import dev.nibble.formats.internal.simd.SearchGroups;
import dev.nibble.formats.internal.simd.SearchGroups.Weighting;
import java.util.Optional;

/// Q3_K: 256 elements in 110 bytes, `x = d * (sc - 32) * (q - 4)`, `sc` of six bits for each group
/// of 16.
///
/// ```
/// byte  0                      32                         96            108    110
///       ┌──────────────────────┬──────────────────────────┬─────────────┬──────┐
///       │ hmask[32]            │ qs[64]                   │ scales[12]  │ d    │
///       │ byte l, bit b: bit 2 │ bits 0 and 1, as in Q2_K │ see below   │ half │
///       │ of element 32*b + l  │                          │             │      │
///       └──────────────────────┴──────────────────────────┴─────────────┴──────┘
///
/// scales    low nibble                  high nibble
/// byte 0-7  sc of group 0-7, bits 0-3   sc of group 8-15, bits 0-3
/// byte 8-11 bits 2k and 2k+1 of byte 8 + i: bits 4 and 5 of group 4k + i
/// ```
///
/// The scale of largest magnitude becomes -32. With importance the scales of a block are fitted as
/// the elements of a group are.
final class Q3KCodec extends SuperBlockCodec {
  private static final int BYTES = GgmlType.Q3_K.blockBytes();
  private static final int GROUPS = 16;
  private static final int CODES = 32;
  private static final int SCALES = 96;
  private static final int SCALE = 108;

  private static final GgmlKernels.Decode DECODE =
      GgmlKernels.decoder(BlockKind.Q3_K, Q3KCodec::decodeBlocks);

  Q3KCodec() {
    super(GgmlType.Q3_K, 16, DECODE);
  }

  @Override
  void encode(Batch batch, Optional<float[]> importance) {
    if (importance.isPresent()) {
      weigh(batch, importance.get(), 2);
      search.symmetric(batch.groups, 4, Weighting.GIVEN);
      fitScales(batch);
    } else {
      search.descent(batch.groups, 4);
      shrinkScales(batch);
    }
    search.requantize(batch.groups, batch.scales, batch.mins, -4, 3);
    for (int block = 0; block < batch.blocks; block++) {
      storeCodes(batch.groups.codes, block * SIZE, batch.bytes, block * BYTES);
    }
  }

  private static void shrinkScales(Batch batch) {
    int[] codes = new int[GROUPS];
    for (int block = 0; block < batch.blocks; block++) {
      int first = block * GROUPS;
      float extreme = GgmlMath.extreme(batch.groups.scales, first, GROUPS);
      float inverse = extreme != 0 ? -32 / extreme : 0;
      for (int i = 0; i < GROUPS; i++) {
        int code = GgmlMath.nearest(inverse * batch.groups.scales[first + i]);
        codes[i] = extreme != 0 ? Math.clamp(code, -32, 31) + 32 : 0;
      }
      storeScales(batch, block, codes, extreme != 0 ? 1 / inverse : 0);
    }
  }

  private void fitScales(Batch batch) {
    int[] codes = new int[GROUPS];
    SearchGroups scales = new SearchGroups(GROUPS, batch.blocks);
    scales.at(batch.groups.scales, 0, batch.blocks);
    for (int group = 0; group < batch.groups.count(); group++) {
      float sum = 0;
      for (int i = 0; i < batch.groups.size; i++) {
        sum += batch.groups.weights[group * batch.groups.size + i];
      }
      scales.weights[group] = sum;
    }
    search.symmetric(scales, 32, Weighting.GIVEN);
    for (int block = 0; block < batch.blocks; block++) {
      for (int i = 0; i < GROUPS; i++) {
        codes[i] = scales.codes[block * GROUPS + i];
      }
      storeScales(batch, block, codes, scales.scales[block]);
    }
  }

  private static void storeScales(Batch batch, int block, int[] codes, float scale) {
    int at = block * BYTES;
    float d = BlockBytes.setHalf(batch.bytes, at + SCALE, scale);
    byte[] bytes = batch.bytes;
    for (int i = 0; i < 8; i++) {
      bytes[at + SCALES + i] = (byte) ((codes[i] & 15) | (codes[i + 8] << 4));
    }
    for (int i = 0; i < 4; i++) {
      bytes[at + SCALES + 8 + i] =
          (byte)
              ((codes[i] >> 4)
                  | ((codes[i + 4] >> 4) << 2)
                  | ((codes[i + 8] >> 4) << 4)
                  | ((codes[i + 12] >> 4) << 6));
    }
    for (int i = 0; i < GROUPS; i++) {
      batch.scales[block * GROUPS + i] = d * (codes[i] - 32);
    }
  }

  private static void storeCodes(byte[] codes, int from, byte[] bytes, int at) {
    for (int l = 0; l < 32; l++) {
      int bits = 0;
      for (int b = 0; b < 8; b++) {
        bits |= (codes[from + b * 32 + l] >> 2) << b;
      }
      bytes[at + l] = (byte) bits;
    }
    TwoBitCodes.store(codes, from, bytes, at + CODES);
  }

  private static int scale(byte[] blocks, int at, int group) {
    int low = (BlockBytes.unsigned(blocks, at + group % 8) >> (group / 8 * 4)) & 15;
    int high = (BlockBytes.unsigned(blocks, at + 8 + group % 4) >> (group / 4 * 2)) & 3;
    return low | (high << 4);
  }

  static void decodeBlocks(byte[] blocks, float[] x, int from, int count) {
    int block = 0;
    for (int first = from; first < from + count; first += SIZE, block += BYTES) {
      float d = BlockBytes.half(blocks, block + SCALE);
      for (int group = 0; group < GROUPS; group++) {
        float scale = d * (scale(blocks, block + SCALES, group) - 32);
        for (int i = group * 16; i < group * 16 + 16; i++) {
          int third = (BlockBytes.unsigned(blocks, block + i % 32) >> (i / 32)) & 1;
          int q = TwoBitCodes.get(blocks, block + CODES, i) | (third << 2);
          x[first + i] = scale * (q - 4);
        }
      }
    }
  }
}
