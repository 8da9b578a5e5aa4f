package dev.nibble.formats.quant.ggml;

import dev.nibble.formats.internal.simd.BlockBytes;
import dev.nibble.formats.internal.simd.BlockKind;
import dev.nibble.formats.internal.simd.BlockSearch;
import dev.nibble.formats.internal.simd.GgmlKernels;
import dev.nibble.formats.internal.simd.GgmlMath;
import dev.nibble.formats.internal.simd.SearchGroups;
import dev.nibble.formats.internal.simd.SearchGroups.Weighting;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/// Q5_0: 32 elements in 22 bytes, `x = (q - 16) * d`.
///
/// ```
/// byte  0      2                  6                             22
///       ┌──────┬──────────────────┬─────────────────────────────┐
///       │ d    │ qh, 32 bits:     │ qs[16]                      │
///       │ half │ bit i is bit 4   │ low nibble  j: element j    │
///       │      │ of element i     │ high nibble j: element 16+j │
///       └──────┴──────────────────┴─────────────────────────────┘
/// ```
///
/// As {@link Q40Codec} with codes of five bits.
final class Q50Codec implements GgmlCodec {
  private static final int SIZE = GgmlType.Q5_0.blockSize();
  private static final int BYTES = GgmlType.Q5_0.blockBytes();
  private static final int FIFTH_BITS = 2;
  private static final int CODES = 6;

  private static final GgmlKernels.Encode ENCODE =
      GgmlKernels.encoder(BlockKind.Q5_0, Q50Codec::encode);
  private static final GgmlKernels.Decode DECODE =
      GgmlKernels.decoder(BlockKind.Q5_0, Q50Codec::decodeBlocks);

  @Override
  public GgmlType type() {
    return GgmlType.Q5_0;
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
      float d = GgmlMath.extreme(x, first, SIZE) / -16;
      float inverse = d != 0 ? 1 / d : 0;
      BlockBytes.setHalf(blocks, block, d);
      for (int i = 0; i < SIZE; i++) {
        codes[i] = (byte) Math.min(31, (byte) GgmlMath.truncate(x[first + i] * inverse + 16.5f));
      }
      Nibbles.storeFifthBits(codes, 0, blocks, block + FIFTH_BITS);
      Nibbles.store(codes, 0, blocks, block + CODES);
    }
  }

  private static void search(
      float[] x, int from, int count, float[] importance, MemorySegment blocks, long at) {
    BlockSearch search = BlockSearch.best();
    SearchGroups groups = Nibbles.weighedRow(search, x, from, count, importance);
    search.symmetric(groups, 16, Weighting.GIVEN);
    byte[] bytes = new byte[groups.count() * BYTES];
    for (int group = 0; group < groups.count(); group++) {
      int block = group * BYTES;
      BlockBytes.setHalf(bytes, block, groups.scales[group]);
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
      int fifths = BlockBytes.int32(blocks, block + FIFTH_BITS);
      for (int j = 0; j < 16; j++) {
        int pair = BlockBytes.unsigned(blocks, block + CODES + j);
        x[first + j] = (((pair & 15) | (((fifths >> j) & 1) << 4)) - 16) * d;
        x[first + 16 + j] = (((pair >> 4) | (((fifths >> (16 + j)) & 1) << 4)) - 16) * d;
      }
    }
  }
}
