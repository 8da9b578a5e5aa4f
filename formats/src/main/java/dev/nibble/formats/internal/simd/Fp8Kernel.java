package dev.nibble.formats.internal.simd;

import dev.nibble.formats.DType;
import java.lang.foreign.MemorySegment;

/// The inner loop that makes 8-bit floats, over a range of one block. All implementations give the
/// same bytes. Stateless and safe for many threads.
@FunctionalInterface
public interface Fp8Kernel {
  /// Codes of `x[from..to) / scale`, rounded as {@link FloatWriter} rounds, and the error of `code
  /// * scale`. A scale of zero makes zeros.
  ///
  /// @param x finite, and nothing in it that `scale` makes infinite
  /// @param scale finite, not negative
  /// @param codes receives `to - from` bytes from byte `at`
  void encode(
      float[] x, int from, int to, float scale, MemorySegment codes, long at, ErrorSum error);

  /// The fastest kernel for this machine.
  ///
  /// @param type F8_E4M3 or F8_E5M2
  /// @throws IllegalArgumentException for any other type
  static Fp8Kernel of(DType type) {
    return Simd.choose(
        () -> new ScalarFp8(type), () -> new WarmingFp8(type), () -> new VectorFp8(type));
  }
}
