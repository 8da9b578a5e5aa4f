package dev.nibble.formats.quant;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.nibble.formats.LittleEndian;
import java.lang.foreign.MemorySegment;

/// bitsandbytes' double quantization: the absmax of all blocks, less their mean, as 8-bit codes of
/// the dynamic map in groups of 256 with an absmax each.
///
/// | array | dtype, shape for b blocks |
/// | --- | --- |
/// | absmax | F32 `[b]` |
/// | codes | U8 `[b]` |
/// | nested absmax | F32 `[ceil(b / 256)]` |
final class DoubleQuant {
  static final int GROUP = 256;

  private static final DynamicTable TABLE = new DynamicTable();

  private final float[] group = new float[GROUP];
  private final float[] centred = new float[GROUP];
  private final int[] indexes = new int[GROUP];
  private final float[] decoded = new float[GROUP];
  private final byte[] codes = new byte[GROUP];

  static long groups(long blocks) {
    return Math.ceilDiv(blocks, GROUP);
  }

  /// The code of one centred absmax in a group, clamped to the group's range.
  static byte code(float centred, float nested) {
    if (nested == 0) {
      return 0;
    }
    int[] index = new int[1];
    TABLE.indexes(new float[] {centred}, 1f / nested, 1, index);
    return TABLE.code(index[0]);
  }

  /// What a reader computes.
  static float decode(byte code, float nested, float offset) {
    return TABLE.value(Byte.toUnsignedInt(code)) * nested + offset;
  }

  /// Told the absmax of each group, before and after.
  @FunctionalInterface
  interface Listener {
    /// @param first index of the group's first block
    /// @param exact absmax as it was, the first `count` elements
    /// @param decoded absmax as a reader will compute it
    void group(long first, int count, float[] exact, float[] decoded);
  }

  /// Quantizes all absmax with a given offset.
  void quantize(
      MemorySegment absmax,
      float offset,
      MemorySegment codesTarget,
      MemorySegment nestedAbsmax,
      Listener listener) {
    long blocks = absmax.byteSize() / Float.BYTES;
    for (long first = 0; first < blocks; first += GROUP) {
      int count = (int) Math.min(GROUP, blocks - first);
      MemorySegment.copy(absmax, LittleEndian.FLOAT, first * Float.BYTES, group, 0, count);
      float nested = quantizeGroup(offset, count);
      nestedAbsmax.set(LittleEndian.FLOAT, first / GROUP * Float.BYTES, nested);
      MemorySegment.copy(codes, 0, codesTarget, JAVA_BYTE, first, count);
      listener.group(first, count, group, decoded);
    }
  }

  /// Simple loops over arrays, which the compiler vectorizes but for the table look-up.
  private float quantizeGroup(float offset, int count) {
    float largest = 0;
    for (int i = 0; i < count; i++) {
      centred[i] = group[i] - offset;
    }
    for (int i = 0; i < count; i++) {
      largest = Math.max(largest, Math.abs(centred[i]));
    }
    float reciprocal = 1f / largest;
    TABLE.indexes(centred, reciprocal, count, indexes);
    for (int i = 0; i < count; i++) {
      codes[i] = largest == 0 ? 0 : TABLE.code(indexes[i]);
    }
    for (int i = 0; i < count; i++) {
      decoded[i] = TABLE.value(Byte.toUnsignedInt(codes[i])) * largest + offset;
    }
    return largest;
  }
}
