package dev.nibble.formats.quant.ggml;

import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.internal.simd.BlockSearch;
import dev.nibble.formats.internal.simd.GgmlMath;
import dev.nibble.formats.internal.simd.SearchGroups;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Fields of blocks.
final class BlockBytes {
  private BlockBytes() {}

  /// A byte as 0 to 255.
  static int get(MemorySegment blocks, long at) {
    return Byte.toUnsignedInt(blocks.get(ValueLayout.JAVA_BYTE, at));
  }

  static void set(MemorySegment blocks, long at, int value) {
    blocks.set(ValueLayout.JAVA_BYTE, at, (byte) value);
  }

  /// An IEEE half, widened.
  static float half(MemorySegment blocks, long at) {
    return Float.float16ToFloat(blocks.get(LittleEndian.SHORT, at));
  }

  /// Rounds to an IEEE half, ties to even.
  ///
  /// @return what a reader gets
  static float setHalf(MemorySegment blocks, long at, float value) {
    short half = Float.floatToFloat16(value);
    blocks.set(LittleEndian.SHORT, at, half);
    return Float.float16ToFloat(half);
  }

  /// Packs 32 codes as the types with blocks of 32 do: byte `j` holds the lower four bits of code
  /// `j` in its low nibble and of code `j + 16` in its high one.
  static void setNibbles(byte[] codes, int from, MemorySegment blocks, long at) {
    for (int j = 0; j < 16; j++) {
      set(blocks, at + j, (codes[from + j] & 15) | (codes[from + 16 + j] << 4));
    }
  }

  /// Gathers bit 4 of 32 codes in a word, that of code `j` in bit `j`.
  static void setFifthBits(byte[] codes, int from, MemorySegment blocks, long at) {
    int bits = 0;
    for (int j = 0; j < 32; j++) {
      bits |= ((codes[from + j] >> 4) & 1) << j;
    }
    blocks.set(LittleEndian.INT, at, bits);
  }

  /// Groups of one row of `count` elements with the weights that ggml's types of 32 elements give
  /// them: importance times the root of the row's mean square plus the element's square.
  static SearchGroups weighedRow(
      BlockSearch search, float[] x, int from, int count, float[] importance) {
    SearchGroups groups = new SearchGroups(32, count / 32).at(x, from, count / 32);
    float meanSquare = GgmlMath.sumSquares(x, from, count) / count;
    search.weigh(x, from, count, importance, 0, meanSquare, groups.weights, 0);
    return groups;
  }
}
