package dev.nibble.formats.quant;

import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.internal.simd.FourBitChunk;
import dev.nibble.formats.internal.simd.FourBitErrors;
import dev.nibble.formats.internal.simd.FourBitKernel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;

/// The error statistics of all blocks of a 4-bit weight, see {@link FourBitChunk}, and their sum
/// for the absmax that a reader will see.
final class BlockErrors {
  private static final int BYTES = FourBitChunk.STATISTICS * Float.BYTES;

  private final MemorySegment statistics;
  private final FourBitErrors group = new FourBitErrors(DoubleQuant.GROUP);
  private final FourBitKernel kernel;

  BlockErrors(long blocks, SegmentAllocator allocator, FourBitKernel kernel) {
    this.kernel = kernel;
    statistics = allocator.allocate(blocks * BYTES, Float.BYTES);
  }

  /// Safe for many threads with disjoint blocks.
  void put(FourBitChunk chunk, long firstBlock, int blocks) {
    MemorySegment.copy(
        chunk.statistics,
        0,
        statistics,
        LittleEndian.FLOAT,
        firstBlock * BYTES,
        blocks * FourBitChunk.STATISTICS);
  }

  /// Sums all blocks for their exact absmax.
  void addExact(MemorySegment absmax) {
    long blocks = absmax.byteSize() / Float.BYTES;
    float[] exact = new float[DoubleQuant.GROUP];
    for (long first = 0; first < blocks; first += exact.length) {
      int count = (int) Math.min(exact.length, blocks - first);
      MemorySegment.copy(absmax, LittleEndian.FLOAT, first * Float.BYTES, exact, 0, count);
      for (int i = 0; i < count; i++) {
        // Blocks that are not finite don't count: their statistics are 0.
        exact[i] = Float.isFinite(exact[i]) ? exact[i] : 0;
      }
      addDecoded(first, count, exact, exact);
    }
  }

  /// Sums at most 256 blocks whose absmax `exact` a reader will see as `decoded`. Blocks whose
  /// absmax is not finite must come as 0: they don't count.
  void addDecoded(long first, int count, float[] exact, float[] decoded) {
    MemorySegment.copy(
        statistics,
        LittleEndian.FLOAT,
        first * BYTES,
        group.statistics,
        0,
        count * FourBitChunk.STATISTICS);
    kernel.sumErrors(group, exact, decoded, count);
  }

  QuantError total(long elements) {
    return new QuantError(elements, group.sumSquares, group.sumSquaredErrors, group.maxError);
  }
}
