package dev.nibble.formats.quant.ggml;

import dev.nibble.formats.internal.simd.BlockBytes;
import dev.nibble.formats.internal.simd.BlockSearch;
import dev.nibble.formats.internal.simd.GgmlMath;
import dev.nibble.formats.internal.simd.SearchGroups;

/// What the types with blocks of 32 elements share.
final class Nibbles {
  /// Elements of a block.
  static final int SIZE = 32;

  private Nibbles() {}

  /// Packs 32 codes: byte `j` holds the lower four bits of code `j` in its low nibble and of code
  /// `j + 16` in its high one.
  static void store(byte[] codes, int from, byte[] blocks, int at) {
    for (int j = 0; j < 16; j++) {
      blocks[at + j] = (byte) ((codes[from + j] & 15) | (codes[from + 16 + j] << 4));
    }
  }

  /// Gathers bit 4 of 32 codes in a word, that of code `j` in bit `j`.
  static void storeFifthBits(byte[] codes, int from, byte[] blocks, int at) {
    int bits = 0;
    for (int j = 0; j < SIZE; j++) {
      bits |= ((codes[from + j] >> 4) & 1) << j;
    }
    BlockBytes.setInt32(blocks, at, bits);
  }

  /// Groups of a row of `count` elements with the weights that importance gives them: importance
  /// times the root of the row's mean square plus the element's square.
  static SearchGroups weighedRow(
      BlockSearch search, float[] x, int from, int count, float[] importance) {
    SearchGroups groups = new SearchGroups(SIZE, count / SIZE).at(x, from, count / SIZE);
    float meanSquare = GgmlMath.sumSquares(x, from, count) / count;
    search.weigh(x, from, count, importance, 0, meanSquare, groups.weights, 0);
    return groups;
  }
}
