package dev.nibble.formats.quant.ggml;

import dev.nibble.formats.internal.simd.BlockBytes;
import dev.nibble.formats.internal.simd.BlockKind;
import dev.nibble.formats.internal.simd.BlockSearch;
import dev.nibble.formats.internal.simd.BlockSearch.Trials;
import dev.nibble.formats.internal.simd.GgmlKernels;
import dev.nibble.formats.internal.simd.GgmlMath;
import dev.nibble.formats.internal.simd.SearchGroups;
import dev.nibble.formats.internal.simd.SearchGroups.Weighting;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/// Q4_1: 32 elements in 20 bytes, `x = q * d + m`.
///
/// ```
/// byte  0      2      4                             20
///       ┌──────┬──────┬─────────────────────────────┐
///       │ d    │ m    │ qs[16]                      │
///       │ half │ half │ low nibble  j: element j    │
///       │      │      │ high nibble j: element 16+j │
///       └──────┴──────┴─────────────────────────────┘
/// ```
///
/// `m` is the least number and `d` a 15th of the range; codes are rounded half up, before `d` and
/// `m` are rounded to half. With importance, 38 scales are tried and `m` is at most 0.
final class Q41Codec implements GgmlCodec {
  private static final int SIZE = GgmlType.Q4_1.blockSize();
  private static final int BYTES = GgmlType.Q4_1.blockBytes();
  private static final int MIN = 2;
  private static final int CODES = 4;

  /// How scales are searched for with importance.
  private static final Trials TRIALS = new Trials(15, -0.9f, 0.05f, 36, false, Weighting.GIVEN);

  private static final GgmlKernels.Encode ENCODE =
      GgmlKernels.encoder(BlockKind.Q4_1, Q41Codec::encode);
  private static final GgmlKernels.Decode DECODE =
      GgmlKernels.decoder(BlockKind.Q4_1, Q41Codec::decodeBlocks);

  @Override
  public GgmlType type() {
    return GgmlType.Q4_1;
  }

  @Override
  public void encode(
      float[] x, int from, int count, Optional<float[]> importance, MemorySegment blocks, long at) {
    if (importance.isPresent()) {
      search(x, from, count, importance.get(), blocks, at);
    } else {
      Pieces.encode(type(), ENCODE, x, from, count, blocks, at);
    }
  }

  static void encode(float[] x, int from, int count, byte[] blocks) {
    byte[] codes = new byte[SIZE];
    int block = 0;
    for (int first = from; first < from + count; first += SIZE, block += BYTES) {
      float min = x[first];
      float max = x[first];
      for (int i = 1; i < SIZE; i++) {
        min = x[first + i] < min ? x[first + i] : min;
        max = x[first + i] > max ? x[first + i] : max;
      }
      float d = (max - min) / 15;
      float inverse = d != 0 ? 1 / d : 0;
      BlockBytes.setHalf(blocks, block, d);
      BlockBytes.setHalf(blocks, block + MIN, min);
      for (int i = 0; i < SIZE; i++) {
        float place = (x[first + i] - min) * inverse;
        codes[i] = (byte) Math.min(15, (byte) GgmlMath.truncate(place + 0.5f));
      }
      Nibbles.store(codes, 0, blocks, block + CODES);
    }
  }

  private static void search(
      float[] x, int from, int count, float[] importance, MemorySegment blocks, long at) {
    BlockSearch search = BlockSearch.best();
    SearchGroups groups = Nibbles.weighedRow(search, x, from, count, importance);
    search.scaleAndMin(groups, TRIALS);
    byte[] bytes = new byte[groups.count() * BYTES];
    for (int group = 0; group < groups.count(); group++) {
      int block = group * BYTES;
      BlockBytes.setHalf(bytes, block, groups.scales[group]);
      BlockBytes.setHalf(bytes, block + MIN, -groups.mins[group]);
      Nibbles.store(groups.codes, group * SIZE, bytes, block + CODES);
    }
    MemorySegment.copy(bytes, 0, blocks, ValueLayout.JAVA_BYTE, at, bytes.length);
  }

  @Override
  public void decode(
      MemorySegment blocks, long at, float[] x, int from, int count, byte[] scratch) {
    Pieces.decode(type(), DECODE, blocks, at, x, from, count, scratch);
  }

  static void decodeBlocks(byte[] blocks, float[] x, int from, int count) {
    int block = 0;
    for (int first = from; first < from + count; first += SIZE, block += BYTES) {
      float d = BlockBytes.half(blocks, block);
      float min = BlockBytes.half(blocks, block + MIN);
      for (int j = 0; j < 16; j++) {
        int pair = BlockBytes.unsigned(blocks, block + CODES + j);
        x[first + j] = (pair & 15) * d + min;
        x[first + 16 + j] = (pair >> 4) * d + min;
      }
    }
  }
}
