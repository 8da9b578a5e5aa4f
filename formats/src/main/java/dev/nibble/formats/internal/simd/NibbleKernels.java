package dev.nibble.formats.internal.simd;

import java.lang.foreign.MemorySegment;

/// Two 4-bit codes a byte, the first in the low bits. All implementations give the same bits.
/// Stateless and safe for many threads.
public interface NibbleKernels {
  /// The fastest kernels for this machine.
  static NibbleKernels best() {
    return Simd.choose(
        () -> new ScalarNibbles(), () -> new WarmingNibbles(), () -> new VectorNibbles());
  }

  /// Packs `codes[0..count)`, a byte each and below 16, to bytes of `packed` from `at`; the upper
  /// half of the last byte of an odd count is zero.
  void pack(byte[] codes, int count, MemorySegment packed, long at);

  /// Decodes: `out[i] = (code - zero) * scale`.
  ///
  /// @param first the code for `out[from]`, counted in codes
  void decode(
      MemorySegment packed, long first, int zero, float scale, float[] out, int from, int to);
}
