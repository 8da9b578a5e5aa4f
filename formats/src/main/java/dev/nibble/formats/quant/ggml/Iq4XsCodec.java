package dev.nibble.formats.quant.ggml;

import dev.nibble.formats.internal.simd.BlockBytes;
import dev.nibble.formats.internal.simd.BlockKind;
import dev.nibble.formats.internal.simd.GgmlKernels;
import dev.nibble.formats.internal.simd.GgmlMath;
import dev.nibble.formats.internal.simd.Iq4Table;
import dev.nibble.formats.internal.simd.SearchGroups.Weighting;
import java.util.Optional;

/// IQ4_XS: 256 elements in 136 bytes, `x = d * (sc - 32) * T[q]`, `sc` of six bits for each group
/// of 32, `T` the 16 values of {@link Iq4Table}.
///
/// ```
/// byte  0      2               4                    8                                 136
///       ┌──────┬───────────────┬────────────────────┬─────────────────────────────────┐
///       │ d    │ scales_h, 16  │ scales_l[4]        │ qs[128]                         │
///       │ half │ bits: 2g and  │ byte i, bits 0-3:  │ byte 16 * g + j, group g:       │
///       │      │ 2g+1 are bits │ low nibble  2i,    │ low nibble: element j           │
///       │      │ 4-5 of group g│ high nibble 2i+1   │ high nibble: element 16+j       │
///       └──────┴───────────────┴────────────────────┴─────────────────────────────────┘
/// ```
///
/// The groups' scales are found as in {@link Iq4NlCodec}; that of largest magnitude becomes -32.
final class Iq4XsCodec extends SuperBlockCodec {
  private static final int BYTES = GgmlType.IQ4_XS.blockBytes();
  private static final int GROUPS = 8;
  private static final int HIGH = 2;
  private static final int LOW = 4;
  private static final int CODES = 8;

  private static final GgmlKernels.Decode DECODE =
      GgmlKernels.decoder(BlockKind.IQ4_XS, Iq4XsCodec::decodeBlocks);

  Iq4XsCodec() {
    super(GgmlType.IQ4_XS, 32, DECODE);
  }

  @Override
  void encode(Batch batch, Optional<float[]> importance) {
    importance.ifPresent(weights -> weigh(batch, weights, 2));
    search.table(batch.groups, importance.isPresent() ? Weighting.GIVEN : Weighting.SQUARE);
    for (int block = 0; block < batch.blocks; block++) {
      shrinkScales(batch, block);
    }
    search.tableCodes(batch.groups, batch.scales);
    for (int group = 0; group < batch.groups.count(); group++) {
      int codes = group / GROUPS * BYTES + CODES + group % GROUPS * 16;
      Nibbles.store(batch.groups.codes, group * 32, batch.bytes, codes);
    }
  }

  /// Stores the scales of a block, and sets their reciprocals.
  private static void shrinkScales(Batch batch, int block) {
    int first = block * GROUPS;
    int at = block * BYTES;
    float d = -GgmlMath.extreme(batch.groups.scales, first, GROUPS) / 32;
    float inverse = d != 0 ? 1 / d : 0;
    int high = 0;
    int low = 0;
    for (int i = 0; i < GROUPS; i++) {
      int code = GgmlMath.nearest(inverse * batch.groups.scales[first + i]);
      code = Math.clamp(code, -32, 31);
      float scale = d * code;
      batch.scales[first + i] = scale != 0 ? 1 / scale : 0;
      high |= ((code + 32) >> 4) << (2 * i);
      low |= ((code + 32) & 15) << (4 * i);
    }
    BlockBytes.setHalf(batch.bytes, at, d);
    BlockBytes.setInt16(batch.bytes, at + HIGH, high);
    BlockBytes.setInt32(batch.bytes, at + LOW, low);
  }

  static void decodeBlocks(byte[] blocks, float[] x, int from, int count) {
    int block = 0;
    for (int first = from; first < from + count; first += SIZE, block += BYTES) {
      float d = BlockBytes.half(blocks, block);
      int high = BlockBytes.int16(blocks, block + HIGH);
      int low = BlockBytes.int32(blocks, block + LOW);
      for (int group = 0; group < GROUPS; group++) {
        float scale = d * ((((low >> (4 * group)) & 15) | (((high >> (2 * group)) & 3) << 4)) - 32);
        int codes = block + CODES + 16 * group;
        for (int j = 0; j < 16; j++) {
          int pair = BlockBytes.unsigned(blocks, codes + j);
          x[first + group * 32 + j] = scale * Iq4Table.value(pair & 15);
          x[first + group * 32 + 16 + j] = scale * Iq4Table.value(pair >> 4);
        }
      }
    }
  }
}
