package dev.nibble.runtime.cuda;

import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.StructLayout;
import java.lang.foreign.ValueLayout;

/// The struct by which kernels take a weight (`Weight` of `dequant/weight.cuh`).
///
/// @param codes device addresses; 0 for what a format does not have
/// @param nestedOffset by value
/// @param blockSize elements that share a scale, 0 for none
/// @param codeFlip bits of codes that are inverted; `zeroFlip` of zero points
record WeightArgument(
    long codes,
    long scale,
    long zeroPoint,
    long codebook,
    long nestedCodebook,
    long nestedAbsmax,
    float nestedOffset,
    int blockSize,
    int codeFlip,
    int zeroFlip) {
  private static final StructLayout LAYOUT =
      MemoryLayout.structLayout(
          MemoryLayout.sequenceLayout(6, ValueLayout.JAVA_LONG),
          ValueLayout.JAVA_FLOAT,
          MemoryLayout.sequenceLayout(3, ValueLayout.JAVA_INT));

  static WeightArgument dense(long address) {
    return new WeightArgument(address, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  }

  MemorySegment write(SegmentAllocator allocator) {
    MemorySegment struct = allocator.allocate(LAYOUT);
    struct.setAtIndex(ValueLayout.JAVA_LONG, 0, codes);
    struct.setAtIndex(ValueLayout.JAVA_LONG, 1, scale);
    struct.setAtIndex(ValueLayout.JAVA_LONG, 2, zeroPoint);
    struct.setAtIndex(ValueLayout.JAVA_LONG, 3, codebook);
    struct.setAtIndex(ValueLayout.JAVA_LONG, 4, nestedCodebook);
    struct.setAtIndex(ValueLayout.JAVA_LONG, 5, nestedAbsmax);
    struct.setAtIndex(ValueLayout.JAVA_FLOAT, 12, nestedOffset);
    struct.setAtIndex(ValueLayout.JAVA_INT, 13, blockSize);
    struct.setAtIndex(ValueLayout.JAVA_INT, 14, codeFlip);
    struct.setAtIndex(ValueLayout.JAVA_INT, 15, zeroFlip);
    return struct;
  }
}
