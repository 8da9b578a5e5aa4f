package dev.nibble.formats.quant;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.internal.simd.FloatWriter;
import java.lang.foreign.MemorySegment;

/// Reads {@link GroupedInt} matrices whose codes do not stand in the order of their elements, or
/// whose inputs name their groups. A row takes a code of many words, and its neighbours take codes
/// of the same ones or the next, so rows are read in bands.
final class WordDecoder implements WeightDecoder {
  private static final int BAND = 32;

  /// Values that are written at once, where a row isn't longer.
  private static final int BUFFER = 8192;

  private final GroupedInt scheme;
  private final PartLayout layout;
  private final WordLayout words;
  private final MemorySegment codes;
  private final MemorySegment scales;
  private final MemorySegment zeros;
  private final boolean hasZeros;
  private final int rows;
  private final int columns;
  private final int groups;

  /// Group of each column.
  private final int[] groupOf;

  WordDecoder(GroupedInt scheme, QuantizedTensor tensor) {
    this.scheme = scheme;
    this.layout = tensor.layout();
    this.words = new WordLayout(layout, scheme, tensor.shape());
    this.codes = tensor.part(Part.CODES);
    this.scales = tensor.part(Part.SCALE);
    this.hasZeros = tensor.parts().containsKey(Part.ZERO_POINT);
    this.zeros = hasZeros ? tensor.part(Part.ZERO_POINT) : MemorySegment.NULL;
    this.rows = Math.toIntExact(tensor.shape().dim(0));
    this.columns = Math.toIntExact(tensor.shape().dim(1));
    this.groups = (int) scheme.groups(columns);
    this.groupOf = groupOf(tensor);
  }

  private int[] groupOf(QuantizedTensor tensor) {
    int[] index = new int[columns];
    if (tensor.parts().containsKey(Part.GROUP_INDEX)) {
      MemorySegment.copy(tensor.part(Part.GROUP_INDEX), LittleEndian.INT, 0, index, 0, columns);
      return index;
    }
    for (int column = 0; column < columns; column++) {
      index[column] = scheme.groupSize() == 0 ? 0 : column / scheme.groupSize();
    }
    return index;
  }

  @Override
  public void decode(long begin, long count, MemorySegment target, DType type) {
    require(begin, count);
    FloatWriter writer = FloatWriter.of(type);
    int step = (int) Math.min(count, Math.max(BUFFER, (long) BAND * columns));
    float[] values = new float[Math.max(1, step)];
    for (long done = 0; done < count; done += step) {
      int length = (int) Math.min(step, count - done);
      fill(begin + done, length, values, 0);
      writer.write(values, length, target, done);
    }
  }

  @Override
  public void decode(long begin, int count, float[] target, int at, DecodeScratch scratch) {
    require(begin, count);
    fill(begin, count, target, at);
  }

  private void require(long begin, long count) {
    if (begin < 0 || count < 0 || begin > (long) rows * columns - count) {
      throw new IllegalArgumentException(
          "%d elements at %d do not fit a weight of %d"
              .formatted(count, begin, (long) rows * columns));
    }
  }

  /// Decodes a rest of a row, whole rows in bands, and a beginning of one.
  private void fill(long begin, int count, float[] target, int at) {
    int done = 0;
    while (done < count) {
      int row = (int) ((begin + done) / columns);
      int column = (int) ((begin + done) % columns);
      int left = count - done;
      boolean whole = column == 0 && left >= columns;
      int band = whole ? Math.min(BAND, left / columns) : 1;
      int width = whole ? columns : Math.min(columns - column, left);
      readCodes(row, band, column, width, target, at + done);
      for (int i = 0; i < band; i++) {
        scaleRow(row + i, column, width, target, at + done + i * width);
      }
      done += band * width;
    }
  }

  /// Reads codes as numbers to rows of `width` one after the other.
  private void readCodes(int row, int band, int column, int width, float[] target, int at) {
    switch (layout) {
      case AWQ -> readAwq(row, band, column, width, target, at);
      case GPTQ, GPTQ_V2 -> readGptq(row, band, column, width, target, at);
      case PLAIN, PACKED, SIGNED -> readInOrder(row, band, column, width, target, at);
    }
  }

  private void readGptq(int row, int band, int column, int width, float[] target, int at) {
    int bits = scheme.bits();
    int perWord = 32 / bits;
    int mask = (1 << bits) - 1;
    int end = column + width;
    for (int first = column / perWord * perWord; first < end; first += perWord) {
      long words = (long) (first / perWord) * rows + row;
      int from = Math.max(first, column);
      int to = Math.min(first + perWord, end);
      for (int i = 0; i < band; i++) {
        int word = codes.get(LittleEndian.INT, (words + i) * 4) >>> (bits * (from - first));
        int place = at + i * width - column;
        for (int c = from; c < to; c++) {
          target[place + c] = word & mask;
          word >>>= bits;
        }
      }
    }
  }

  private void readAwq(int row, int band, int column, int width, float[] target, int at) {
    int perRow = rows / WordLayout.AWQ_ROWS;
    for (int i = 0; i < band; i++) {
      int shift = this.words.rowShift(row + i);
      long word = (long) column * perRow + (row + i) / WordLayout.AWQ_ROWS;
      int place = at + i * width;
      for (int c = 0; c < width; c++, word += perRow) {
        target[place + c] = (codes.get(LittleEndian.INT, word * 4) >>> shift) & 15;
      }
    }
  }

  private void readInOrder(int row, int band, int column, int width, float[] target, int at) {
    int flip = layout == PartLayout.SIGNED ? 0x80 : 0;
    long element = (long) row * columns + column;
    for (int i = 0; i < band * width; i++, element++) {
      target[at + i] =
          scheme.bits() == 8
              ? Byte.toUnsignedInt(codes.get(JAVA_BYTE, element)) ^ flip
              : (codes.get(JAVA_BYTE, element >> 1) >>> (int) (4 * (element & 1))) & 15;
    }
  }

  private void scaleRow(int row, int column, int width, float[] target, int at) {
    float[] scale = new float[groups];
    float[] zero = new float[groups];
    for (int group = 0; group < groups; group++) {
      scale[group] = ScaleType.get(scales, scaleIndex(row, group), scheme.scale());
      zero[group] = zero(row, group);
    }
    for (int c = 0; c < width; c++) {
      int group = groupOf[column + c];
      target[at + c] = (target[at + c] - zero[group]) * scale[group];
    }
  }

  private long scaleIndex(int row, int group) {
    return layout.isInOrder() ? (long) row * groups + group : words.scaleIndex(row, group);
  }

  private int zero(int row, int group) {
    if (!hasZeros) {
      return scheme.middle();
    }
    return switch (layout) {
      case PLAIN -> Byte.toUnsignedInt(zeros.get(JAVA_BYTE, (long) row * groups + group));
      case SIGNED -> zeros.get(JAVA_BYTE, (long) row * groups + group) + 128;
      case PACKED, GPTQ, GPTQ_V2, AWQ -> words.zeroPoint(zeros, row, group);
    };
  }
}
