package dev.nibble.formats.quant.ggml;

import dev.nibble.formats.internal.simd.GgmlKernels;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Runs kernels, which know arrays only, piece by piece on blocks in memory. An array that stays in
/// the first cache costs less than the checks of a segment at each access.
final class Pieces {
  /// Elements of a piece: a multiple of every block size.
  static final int SIZE = 4096;

  private Pieces() {}

  static void decode(
      GgmlType type,
      GgmlKernels.Decode kernel,
      MemorySegment blocks,
      long at,
      float[] x,
      int from,
      int count,
      byte[] bytes) {
    for (int first = 0; first < count; first += SIZE) {
      int length = Math.min(SIZE, count - first);
      long offset = at + type.byteSize(first);
      int size = (int) type.byteSize(length);
      MemorySegment.copy(blocks, ValueLayout.JAVA_BYTE, offset, bytes, 0, size);
      kernel.decode(bytes, x, from + first, length);
    }
  }

  static void encode(
      GgmlType type,
      GgmlKernels.Encode kernel,
      float[] x,
      int from,
      int count,
      MemorySegment blocks,
      long at) {
    byte[] bytes = new byte[(int) type.byteSize(Math.min(SIZE, count))];
    for (int first = 0; first < count; first += SIZE) {
      int length = Math.min(SIZE, count - first);
      kernel.encode(x, from + first, length, bytes);
      long offset = at + type.byteSize(first);
      int size = (int) type.byteSize(length);
      MemorySegment.copy(bytes, 0, blocks, ValueLayout.JAVA_BYTE, offset, size);
    }
  }
}
