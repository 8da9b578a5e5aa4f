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

/// Q5_1: 32 elements in 24 bytes, `x = q * d + m`.
///
/// ```
/// byte  0      2      4                  8                             24
///       ┌──────┬──────┬──────────────────┬─────────────────────────────┐
///       │ d    │ m    │ qh, 32 bits:     │ qs[16]                      │
///       │ half │ half │ bit i is bit 4   │ low nibble  j: element j    │
///       │      │      │ of element i     │ high nibble j: element 16+j │
///       └──────┴──────┴──────────────────┴─────────────────────────────┘
/// ```
///
/// As {@link Q41Codec} with codes of five bits.
final class Q51Codec implements GgmlCodec {
  private static final int SIZE = GgmlType.Q5_1.blockSize();
  private static final int BYTES = GgmlType.Q5_1.blockBytes();
  private static final int MIN = 2;
  private static final int FIFTH_BITS = 4;
  private static final int CODES = 8;

  /// How scales are searched for with importance.
  private static final Trials TRIALS = new Trials(31, -0.9f, 0.05f, 36, false, Weighting.GIVEN);

  private static final GgmlKernels.Encode ENCODE =
      GgmlKernels.encoder(BlockKind.Q5_1, Q51Codec::encode);
  private static final GgmlKernels.Decode DECODE =
      GgmlKernels.decoder(BlockKind.Q5_1, Q51Codec::decodeBlocks);

  @Override
  public GgmlType type() {
    return GgmlType.Q5_1;
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
      float d = (max - min) / 31;
      float inverse = d != 0 ? 1 / d : 0;
      BlockBytes.setHalf(blocks, block, d);
      BlockBytes.setHalf(blocks, block + MIN, min);
      for (int i = 0; i < SIZE; i++) {
        float place = (x[first + i] - min) * inverse;
        codes[i] = (byte) GgmlMath.truncate(place + 0.5f);
      }
      Nibbles.storeFifthBits(codes, 0, blocks, block + FIFTH_BITS);
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
      Nibbles.storeFifthBits(groups.codes, group * SIZE, bytes, block + FIFTH_BITS);
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
      int fifths = BlockBytes.int32(blocks, block + FIFTH_BITS);
      for (int j = 0; j < 16; j++) {
        int pair = BlockBytes.unsigned(blocks, block + CODES + j);
        x[first + j] = ((pair & 15) | (((fifths >> j) & 1) << 4)) * d + min;
        x[first + 16 + j] = ((pair >> 4) | (((fifths >> (16 + j)) & 1) << 4)) * d + min;
      }
    }
  }
}
