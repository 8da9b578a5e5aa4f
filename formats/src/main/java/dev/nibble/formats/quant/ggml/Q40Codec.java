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

/// Q4_0: 32 elements in 18 bytes, `x = (q - 8) * d`.
///
/// ```
/// byte  0      2                            18
///       ┌──────┬────────────────────────────┐
///       │ d    │ qs[16]                     │
///       │ half │ low nibble  j: element j    │
///       │      │ high nibble j: element 16+j │
///       └──────┴────────────────────────────┘
/// ```
///
/// `d` makes the number of largest magnitude (the first, if several) code 0: no code is +8.
/// Rounding is half up, in the code's own scale before `d` is rounded to half. With importance, 19
/// scales around it are tried.
final class Q40Codec implements GgmlCodec {
  private static final int SIZE = GgmlType.Q4_0.blockSize();
  private static final int BYTES = GgmlType.Q4_0.blockBytes();
  private static final int CODES = 2;

  private static final GgmlKernels.Encode ENCODE =
      GgmlKernels.encoder(BlockKind.Q4_0, Q40Codec::encode);
  private static final GgmlKernels.Decode DECODE =
      GgmlKernels.decoder(BlockKind.Q4_0, Q40Codec::decodeBlocks);

  @Override
  public GgmlType type() {
    return GgmlType.Q4_0;
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
      float d = GgmlMath.extreme(x, first, SIZE) / -8;
      float inverse = d != 0 ? 1 / d : 0;
      BlockBytes.setHalf(blocks, block, d);
      for (int i = 0; i < SIZE; i++) {
        codes[i] = (byte) Math.min(15, (byte) GgmlMath.truncate(x[first + i] * inverse + 8.5f));
      }
      Nibbles.store(codes, 0, blocks, block + CODES);
    }
  }

  private static void search(
      float[] x, int from, int count, float[] importance, MemorySegment blocks, long at) {
    BlockSearch search = BlockSearch.best();
    SearchGroups groups = Nibbles.weighedRow(search, x, from, count, importance);
    search.symmetric(groups, 8, Weighting.GIVEN);
    byte[] bytes = new byte[groups.count() * BYTES];
    for (int group = 0; group < groups.count(); group++) {
      int block = group * BYTES;
      BlockBytes.setHalf(bytes, block, groups.scales[group]);
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
      for (int j = 0; j < 16; j++) {
        int pair = BlockBytes.unsigned(blocks, block + CODES + j);
        x[first + j] = ((pair & 15) - 8) * d;
        x[first + 16 + j] = ((pair >> 4) - 8) * d;
      }
    }
  }
}
