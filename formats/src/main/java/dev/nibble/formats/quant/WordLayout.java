package dev.nibble.formats.quant;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;

/// Where codes, scales and zero points of a {@link GroupedInt} matrix stand in the layouts of
/// 32-bit words, which {@link PartLayout} describes.
final class WordLayout {
  /// Rows that share a word of AWQ.
  static final int AWQ_ROWS = 8;

  /// Nibble of each of eight consecutive rows in a word of AWQ.
  private static final int[] AWQ_NIBBLES = {0, 4, 1, 5, 2, 6, 3, 7};

  private final PartLayout layout;
  private final int bits;
  private final int perWord;
  private final int mask;
  private final long rows;
  private final long columns;
  private final long groups;
  private final int scaleBytes;

  WordLayout(PartLayout layout, GroupedInt scheme, Shape weight) {
    if (weight.rank() != 2) {
      throw new IllegalArgumentException(layout + " is a layout of matrices, not of " + weight);
    }
    this.layout = layout;
    this.bits = scheme.bits();
    this.perWord = 32 / bits;
    this.mask = (1 << bits) - 1;
    this.rows = weight.dim(0);
    this.columns = weight.dim(1);
    this.groups = scheme.groups(columns);
    this.scaleBytes = scheme.scale().bits() / 8;
  }

  static long leastCommonMultiple(long a, long b) {
    long x = a;
    long y = b;
    while (y != 0) {
      long rest = x % y;
      x = y;
      y = rest;
    }
    return Math.multiplyExact(a / x, b);
  }

  /// Bit position of a row's zero point, or of its code in AWQ, in its word.
  int rowShift(long row) {
    int place = (int) (row % perWord);
    return layout == PartLayout.AWQ ? 4 * AWQ_NIBBLES[place] : bits * place;
  }

  /// Index of the scale of a row's group.
  long scaleIndex(long row, long group) {
    return layout == PartLayout.PACKED ? row * groups + group : group * rows + row;
  }

  private long zeroWord(long row, long group) {
    return layout == PartLayout.PACKED
        ? row / perWord * groups + group
        : group * (rows / perWord) + row / perWord;
  }

  /// Reads one zero point.
  int zeroPoint(MemorySegment zeros, long row, long group) {
    int word = zeros.get(LittleEndian.INT, zeroWord(row, group) * 4) + onePerCode();
    return (word >>> rowShift(row)) & mask;
  }

  /// What GPTQ's first format takes off each word of zero points.
  private int onePerCode() {
    if (layout != PartLayout.GPTQ) {
      return 0;
    }
    return bits == 4 ? 0x11111111 : 0x01010101;
  }

  long zeroPointBytes() {
    return 4
        * (layout == PartLayout.PACKED
            ? Math.ceilDiv(rows, perWord) * groups
            : groups * (rows / perWord));
  }

  /// Plain codes are low bits first too, so a word of GPTQ is one of theirs; a word of AWQ has the
  /// codes of one column.
  void putCodes(long begin, long count, MemorySegment codes, MemorySegment target) {
    if (layout == PartLayout.AWQ) {
      putAwq(begin / columns, (begin + count) / columns, codes, target);
      return;
    }
    long words = columns / perWord;
    long first = begin / perWord;
    for (long i = 0; i < count / perWord; i++) {
      long row = (first + i) / words;
      long column = (first + i) % words;
      int word = codes.get(LittleEndian.INT, i * 4);
      target.set(LittleEndian.INT, (column * rows + row) * 4, word);
    }
  }

  private void putAwq(long firstRow, long endRow, MemorySegment codes, MemorySegment target) {
    for (long row = firstRow; row < endRow; row += AWQ_ROWS) {
      long base = (row - firstRow) * columns;
      for (long column = 0; column < columns; column++) {
        int word = 0;
        for (int i = 0; i < AWQ_ROWS; i++) {
          long element = base + i * columns + column;
          int pair = codes.get(JAVA_BYTE, element >> 1);
          word |= ((pair >>> (int) (4 * (element & 1))) & 15) << rowShift(i);
        }
        long at = column * (rows / AWQ_ROWS) + row / AWQ_ROWS;
        target.set(LittleEndian.INT, at * 4, word);
      }
    }
  }

  MemorySegment scales(MemorySegment plain, SegmentAllocator memory) {
    if (layout == PartLayout.PACKED) {
      return plain;
    }
    MemorySegment stored = memory.allocate(plain.byteSize(), 4);
    for (long row = 0; row < rows; row++) {
      for (long group = 0; group < groups; group++) {
        long from = row * groups + group;
        MemorySegment.copy(
            plain, from * scaleBytes, stored, scaleIndex(row, group) * scaleBytes, scaleBytes);
      }
    }
    return stored;
  }

  MemorySegment zeroPoints(MemorySegment plain, SegmentAllocator memory) {
    MemorySegment stored = memory.allocate(zeroPointBytes(), 4).fill((byte) 0);
    for (long row = 0; row < rows; row++) {
      for (long group = 0; group < groups; group++) {
        int zero = Byte.toUnsignedInt(plain.get(JAVA_BYTE, row * groups + group));
        long at = zeroWord(row, group) * 4;
        stored.set(
            LittleEndian.INT, at, stored.get(LittleEndian.INT, at) | (zero << rowShift(row)));
      }
    }
    for (long at = 0; at < stored.byteSize(); at += 4) {
      stored.set(LittleEndian.INT, at, stored.get(LittleEndian.INT, at) - onePerCode());
    }
    return stored;
  }
}
