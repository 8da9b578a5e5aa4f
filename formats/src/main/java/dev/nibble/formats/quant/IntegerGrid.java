package dev.nibble.formats.quant;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.nibble.formats.NibbleException;
import dev.nibble.formats.Shape;
import java.lang.foreign.MemorySegment;

/// What grids of whole numbers share: groups inside rows, a byte a code.
abstract class IntegerGrid implements GridEncoder {
  private final int groupSize;
  final int columns;

  IntegerGrid(int blockSize, Shape weight) {
    columns = Math.toIntExact(weight.last());
    groupSize = blockSize == 0 ? columns : blockSize;
  }

  /// Whether blocks of a matrix lie within its rows.
  ///
  /// @param blockSize 0 for one block a row
  static boolean fits(int blockSize, Shape weight) {
    return weight.rank() == 2
        && weight.elements() > 0
        && (blockSize == 0 || weight.last() % blockSize == 0);
  }

  @Override
  public final int groupSize() {
    return groupSize;
  }

  /// The largest magnitude of a group; NaN if one of its values is.
  final float absmax(float[] values, int at) {
    float max = 0;
    for (int i = at; i < at + groupSize; i++) {
      max = Math.max(max, Math.abs(values[i]));
    }
    return max;
  }

  /// Refuses statistics that are not finite.
  static float requireFinite(float statistic, long group) {
    if (!Float.isFinite(statistic)) {
      throw new NibbleException(
          "group %d of the weight has the scale %s: it holds a value that is not finite, or not in the scheme's range; repair the checkpoint or keep the layer with --skip"
              .formatted(group, statistic));
    }
    return statistic;
  }

  @Override
  public void pack(long firstRow, int rows, byte[] codes, MemorySegment target) {
    MemorySegment.copy(codes, 0, target, JAVA_BYTE, 0, rows * columns);
  }
}
