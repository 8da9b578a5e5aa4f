package dev.nibble.formats.quant.ggml;

import dev.nibble.formats.internal.simd.BlockBytes;
import dev.nibble.formats.internal.simd.BlockKind;
import dev.nibble.formats.internal.simd.BlockSearch;
import dev.nibble.formats.internal.simd.GgmlKernels;
import dev.nibble.formats.internal.simd.GgmlMath;
import dev.nibble.formats.internal.simd.Iq4Table;
import dev.nibble.formats.internal.simd.SearchGroups;
import dev.nibble.formats.internal.simd.SearchGroups.Weighting;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/// IQ4_NL: 32 elements in 18 bytes, `x = d * T[q]`, `T` the 16 values of {@link Iq4Table}.
///
/// ```
/// byte  0      2                             18
///       ┌──────┬─────────────────────────────┐
///       │ d    │ qs[16]                      │
///       │ half │ low nibble  j: element j    │
///       │      │ high nibble j: element 16+j │
///       └──────┴─────────────────────────────┘
/// ```
///
/// Of 16 scales the one of least weighted squared error is taken, weights being the squares, or the
/// importance times the root of twice the block's mean square plus the square.
final class Iq4NlCodec implements GgmlCodec {
  private static final int SIZE = GgmlType.IQ4_NL.blockSize();
  private static final int BYTES = GgmlType.IQ4_NL.blockBytes();
  private static final int CODES = 2;

  /// Blocks searched at once.
  private static final int BATCH = 128;

  private static final GgmlKernels.Decode DECODE =
      GgmlKernels.decoder(BlockKind.IQ4_NL, Iq4NlCodec::decodeBlocks);

  private final BlockSearch search = BlockSearch.best();

  @Override
  public GgmlType type() {
    return GgmlType.IQ4_NL;
  }

  @Override
  public void encode(
      float[] x, int from, int count, Optional<float[]> importance, MemorySegment blocks, long at) {
    int total = count / SIZE;
    SearchGroups groups = new SearchGroups(SIZE, Math.min(BATCH, total));
    float[] inverse = new float[Math.min(BATCH, total)];
    byte[] bytes = new byte[inverse.length * BYTES];
    for (int first = 0; first < total; first += BATCH) {
      groups.at(x, from + first * SIZE, Math.min(BATCH, total - first));
      if (importance.isPresent()) {
        weigh(groups, x, from, first, importance.get());
      }
      search.table(groups, importance.isPresent() ? Weighting.GIVEN : Weighting.SQUARE);
      for (int group = 0; group < groups.count(); group++) {
        float d = groups.scales[group];
        inverse[group] = d != 0 ? 1 / d : 0;
      }
      search.tableCodes(groups, inverse);
      for (int group = 0; group < groups.count(); group++) {
        int block = group * BYTES;
        BlockBytes.setHalf(bytes, block, groups.scales[group]);
        Nibbles.store(groups.codes, group * SIZE, bytes, block + CODES);
      }
      long offset = at + (long) first * BYTES;
      int size = groups.count() * BYTES;
      MemorySegment.copy(bytes, 0, blocks, ValueLayout.JAVA_BYTE, offset, size);
    }
  }

  private void weigh(SearchGroups groups, float[] x, int from, int first, float[] importance) {
    for (int group = 0; group < groups.count(); group++) {
      int column = (first + group) * SIZE;
      float meanSquare = GgmlMath.sumSquares(x, from + column, SIZE) * (2f / SIZE);
      search.weigh(
          x, from + column, SIZE, importance, column, meanSquare, groups.weights, group * SIZE);
    }
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
        x[first + j] = d * Iq4Table.value(pair & 15);
        x[first + 16 + j] = d * Iq4Table.value(pair >> 4);
      }
    }
  }
}
