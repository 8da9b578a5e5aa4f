package dev.nibble.formats.quant;

import dev.nibble.formats.Shape;

/// How a weight falls into blocks of its flattened elements; the last block may be short.
///
/// @param size elements of a block
/// @param elements elements of the weight
record Blocks(long size, long elements) {
  /// Blocks are handled in spans of about this many elements: what fits the first cache.
  static final int SPAN = 4096;

  /// The largest block size that a scheme accepts.
  private static final int LARGEST = 1 << 24;

  /// @param blockSize 0 for one block a row of the last axis
  static Blocks of(int blockSize, Shape weight) {
    return new Blocks(Math.max(1, blockSize == 0 ? weight.last() : blockSize), weight.elements());
  }

  /// Number of blocks.
  long count() {
    return Math.ceilDiv(elements, size);
  }

  /// Elements of a span: whole blocks, of which slices consist.
  long span() {
    return Math.multiplyExact(size, Math.max(1, SPAN / size));
  }

  /// Number of spans.
  long spans() {
    return Math.ceilDiv(elements, span());
  }

  /// Refuses a block size that is neither 0 nor possible.
  static void requireSize(String scheme, int blockSize, int least) {
    if (blockSize < least || blockSize > LARGEST) {
      throw new IllegalArgumentException(
          scheme
              + " block size "
              + blockSize
              + " is not "
              + (least == 0 ? "0 (one block a row) or 1 to " : "1 to ")
              + LARGEST);
    }
  }
}
