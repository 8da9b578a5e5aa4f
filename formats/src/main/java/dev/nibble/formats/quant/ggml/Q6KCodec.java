package dev.nibble.formats.quant.ggml;

import dev.nibble.formats.internal.simd.BlockBytes;
import dev.nibble.formats.internal.simd.BlockKind;
import dev.nibble.formats.internal.simd.GgmlKernels;
import dev.nibble.formats.internal.simd.GgmlMath;
import dev.nibble.formats.internal.simd.SearchGroups.Weighting;
import java.util.Arrays;
import java.util.Optional;

/// Q6_K: 256 elements in 210 bytes, `x = d * sc * (q - 32)`, `sc` of eight bits, signed, for each
/// group of 16.
///
/// ```
/// byte  0                          128                            192          208    210
///       ┌──────────────────────────┬──────────────────────────────┬────────────┬──────┐
///       │ ql[128]                  │ qh[64]                       │ scales[16] │ d    │
///       │ bits 0 to 3:             │ byte 32 * h + l,             │ signed     │ half │
///       │ byte 64 * h + 32 * s + l │ bits 2k and 2k+1:            │            │      │
///       │ low:  128*h + 32*s + l   │ bits 4 and 5 of element      │            │      │
///       │ high: that + 64          │ 128 * h + 32 * k + l         │            │      │
///       └──────────────────────────┴──────────────────────────────┴────────────┴──────┘
/// ```
///
/// The scale of largest magnitude becomes -128. Importance is the weight of an element as it is.
final class Q6KCodec extends SuperBlockCodec {
  private static final int BYTES = GgmlType.Q6_K.blockBytes();
  private static final int GROUPS = 16;
  private static final int HIGH = 128;
  private static final int SCALES = 192;
  private static final int SCALE = 208;

  private static final GgmlKernels.Decode DECODE =
      GgmlKernels.decoder(BlockKind.Q6_K, Q6KCodec::decodeBlocks);

  Q6KCodec() {
    super(GgmlType.Q6_K, 16, DECODE);
  }

  @Override
  void encode(Batch batch, Optional<float[]> importance) {
    importance.ifPresent(weights ->
        System.arraycopy(weights, batch.column, batch.groups.weights, 0, batch.blocks * SIZE));
    search.symmetric(batch.groups, 32, importance.isPresent() ? Weighting.GIVEN : Weighting.SQUARE);
    for (int block = 0; block < batch.blocks; block++) {
      shrinkScales(batch, block);
    }
    search.requantize(batch.groups, batch.scales, batch.mins, -32, 31);
    for (int block = 0; block < batch.blocks; block++) {
      storeCodes(batch.groups.codes, block * SIZE, batch.bytes, block * BYTES);
    }
  }

  private static void shrinkScales(Batch batch, int block) {
    int first = block * GROUPS;
    int at = block * BYTES;
    float extreme = GgmlMath.extreme(batch.groups.scales, first, GROUPS);
    boolean zero = Math.abs(extreme) < GgmlMath.LEAST_MAGNITUDE;
    if (zero) {
      Arrays.fill(batch.groups.codes, block * SIZE, (block + 1) * SIZE, (byte) 0);
    }
    float inverse = zero ? 0 : -128 / extreme;
    float d = BlockBytes.setHalf(batch.bytes, at + SCALE, zero ? 0 : 1 / inverse);
    for (int i = 0; i < GROUPS; i++) {
      int code = Math.min(127, GgmlMath.nearest(inverse * batch.groups.scales[first + i]));
      batch.bytes[at + SCALES + i] = (byte) code;
      batch.scales[first + i] = d * (byte) code;
    }
  }

  private static void storeCodes(byte[] codes, int from, byte[] bytes, int at) {
    for (int half = 0; half < 2; half++) {
      int first = from + half * 128;
      for (int l = 0; l < 64; l++) {
        bytes[at + half * 64 + l] = (byte) ((codes[first + l] & 15) | (codes[first + 64 + l] << 4));
      }
      for (int l = 0; l < 32; l++) {
        bytes[at + HIGH + half * 32 + l] =
            (byte)
                ((codes[first + l] >> 4)
                    | ((codes[first + 32 + l] >> 4) << 2)
                    | ((codes[first + 64 + l] >> 4) << 4)
                    | ((codes[first + 96 + l] >> 4) << 6));
      }
    }
  }

  static void decodeBlocks(byte[] blocks, float[] x, int from, int count) {
    int block = 0;
    for (int first = from; first < from + count; first += SIZE, block += BYTES) {
      float d = BlockBytes.half(blocks, block + SCALE);
      for (int i = 0; i < SIZE; i++) {
        int half = i / 128;
        int plane = i / 32 % 4;
        int low = (BlockBytes.unsigned(blocks, block + half * 64 + i % 64) >> (plane / 2 * 4)) & 15;
        int high =
            (BlockBytes.unsigned(blocks, block + HIGH + half * 32 + i % 32) >> (plane * 2)) & 3;
        byte scale = blocks[block + SCALES + i / 16];
        x[first + i] = d * scale * ((low | (high << 4)) - 32);
      }
    }
  }
}
