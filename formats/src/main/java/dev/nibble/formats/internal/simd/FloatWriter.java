package dev.nibble.formats.internal.simd;

import dev.nibble.formats.DType;
import java.lang.foreign.MemorySegment;

/// Writes float32 numbers in one dtype, rounded to nearest, ties to even; what is too large becomes
/// infinite (in F8_E4M3, which has no infinity, the largest number) and NaN stays a quiet NaN.
/// Stateless and safe for many threads.
@FunctionalInterface
public interface FloatWriter {
  /// Writes `source[0..count)` to elements `[first, first + count)` of `target`.
  ///
  /// @param target little-endian elements, unaligned
  void write(float[] source, int count, MemorySegment target, long first);

  /// The fastest writer for this machine.
  ///
  /// @param type F32, BF16, F16, F8_E4M3 or F8_E5M2
  /// @throws IllegalArgumentException for any other type
  static FloatWriter of(DType type) {
    return Simd.choose(
        () -> ScalarFloats.writer(type),
        () -> WarmingFloats.writer(type),
        () -> VectorFloats.writer(type));
  }
}
