package dev.nibble.formats.quant;

import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.internal.simd.FourBitChunk;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;

/// The error statistics of all blocks of a 4-bit weight, see {@link FourBitChunk}, and their sum
/// for the absmax that a reader will see.
///
/// With `d = x - c * a`, an absmax `b` instead of `a` turns the error of an element into `d + c *
/// (a - b)`: squared and summed, `sum(d^2) + 2 * (a - b) * sum(d * c) + (a - b)^2 * sum(c^2)`. In
/// the same way `x = d + c * a` gives the sum of the squared source.
final class BlockErrors {
  private final MemorySegment squared;
  private final MemorySegment cross;
  private final MemorySegment norm;
  private final MemorySegment worst;
  private final float[][] group = new float[4][DoubleQuant.GROUP];
  private double sumSquares;
  private double sumSquaredErrors;
  private double maxError;

  BlockErrors(long blocks, SegmentAllocator statistics) {
    squared = statistics.allocate(blocks * Float.BYTES, Float.BYTES);
    cross = statistics.allocate(blocks * Float.BYTES, Float.BYTES);
    norm = statistics.allocate(blocks * Float.BYTES, Float.BYTES);
    worst = statistics.allocate(blocks * Float.BYTES, Float.BYTES);
  }

  /// Safe for many threads with disjoint blocks.
  void put(FourBitChunk chunk, long firstBlock, int blocks) {
    long at = firstBlock * Float.BYTES;
    MemorySegment.copy(chunk.squared, 0, squared, LittleEndian.FLOAT, at, blocks);
    MemorySegment.copy(chunk.cross, 0, cross, LittleEndian.FLOAT, at, blocks);
    MemorySegment.copy(chunk.norm, 0, norm, LittleEndian.FLOAT, at, blocks);
    MemorySegment.copy(chunk.worst, 0, worst, LittleEndian.FLOAT, at, blocks);
  }

  /// Sums all blocks for their exact absmax.
  void addExact(MemorySegment absmax) {
    long blocks = absmax.byteSize() / Float.BYTES;
    float[] exact = new float[DoubleQuant.GROUP];
    for (long first = 0; first < blocks; first += exact.length) {
      int count = (int) Math.min(exact.length, blocks - first);
      MemorySegment.copy(absmax, LittleEndian.FLOAT, first * Float.BYTES, exact, 0, count);
      addDecoded(first, count, exact, exact);
    }
  }

  /// Sums at most 256 blocks whose absmax `exact` a reader will see as `decoded`.
  void addDecoded(long first, int count, float[] exact, float[] decoded) {
    long at = first * Float.BYTES;
    MemorySegment.copy(squared, LittleEndian.FLOAT, at, group[0], 0, count);
    MemorySegment.copy(cross, LittleEndian.FLOAT, at, group[1], 0, count);
    MemorySegment.copy(norm, LittleEndian.FLOAT, at, group[2], 0, count);
    MemorySegment.copy(worst, LittleEndian.FLOAT, at, group[3], 0, count);
    for (int i = 0; i < count; i++) {
      if (!Float.isFinite(exact[i])) {
        continue;
      }
      double a = exact[i];
      double change = a - decoded[i];
      double c2 = group[2][i];
      double dc = a * group[1][i];
      double d2 = a * a * group[0][i];
      sumSquares += a * a * c2 + 2 * a * dc + d2;
      sumSquaredErrors += Math.max(0, d2 + 2 * change * dc + change * change * c2);
      maxError = Math.max(maxError, group[3][i] + Math.abs(change));
    }
  }

  QuantError total(long elements) {
    return new QuantError(elements, sumSquares, sumSquaredErrors, maxError);
  }
}
