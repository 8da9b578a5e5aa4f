package dev.nibble.formats.internal.simd;

import dev.nibble.formats.DType;
import java.lang.foreign.MemorySegment;

/// Reads numbers of one dtype as float32. F64 is rounded to nearest even; all others are exact. NaN
/// stays NaN; of a NaN's payload nothing is promised. Stateless and safe for many threads.
@FunctionalInterface
public interface FloatReader {
  /// Reads elements `[first, first + count)` of `source` into `target[0..count)`.
  ///
  /// @param source little-endian elements, unaligned
  void read(MemorySegment source, long first, float[] target, int count);

  /// The fastest reader for this machine.
  ///
  /// @throws IllegalArgumentException unless {@link DType#isQuantizable()}
  static FloatReader of(DType type) {
    return Simd.choose(
        () -> ScalarFloats.reader(type),
        () -> WarmingFloats.reader(type),
        () -> VectorFloats.reader(type));
  }
}
