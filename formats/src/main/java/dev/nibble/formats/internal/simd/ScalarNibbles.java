package dev.nibble.formats.internal.simd;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;

/// One byte at a time: the reference for {@link VectorNibbles}, and its ends.
final class ScalarNibbles implements NibbleKernels {
  @Override
  public void pack(byte[] codes, int count, MemorySegment packed, long at) {
    pack(codes, 0, count, packed, at);
  }

  /// Packs `codes[from..count)`.
  void pack(byte[] codes, int from, int count, MemorySegment packed, long at) {
    int i = from;
    for (long target = at; i + 1 < count; i += 2, target++) {
      packed.set(JAVA_BYTE, target, (byte) (codes[i] | (codes[i + 1] << 4)));
    }
    if (i < count) {
      packed.set(JAVA_BYTE, at + (i - from) / 2, codes[i]);
    }
  }

  @Override
  public void decode(
      MemorySegment packed, long first, int zero, float scale, float[] out, int from, int to) {
    int i = from;
    long code = first;
    if (i < to && code % 2 != 0) {
      out[i++] = ((packed.get(JAVA_BYTE, code++ >> 1) >> 4 & 15) - zero) * scale;
    }
    for (; i + 1 < to; i += 2, code += 2) {
      int pair = packed.get(JAVA_BYTE, code >> 1);
      out[i] = ((pair & 15) - zero) * scale;
      out[i + 1] = ((pair >> 4 & 15) - zero) * scale;
    }
    if (i < to) {
      out[i] = ((packed.get(JAVA_BYTE, code >> 1) & 15) - zero) * scale;
    }
  }
}
