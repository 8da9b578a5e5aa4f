package dev.nibble.formats.internal.simd;

import java.lang.foreign.MemorySegment;

/// Chooses the code that reads and writes blocks of ggml's types. The scalar code is handed in: it
/// stands beside the drawing of the block in the type's codec.
public final class GgmlKernels {
  private GgmlKernels() {}

  /// Decodes whole blocks from byte `at` to `x[from, from + count)`.
  @FunctionalInterface
  public interface Decode {
    void decode(MemorySegment blocks, long at, float[] x, int from, int count);
  }

  /// Encodes `x[from, from + count)`, finite numbers, to whole blocks from byte `at`.
  @FunctionalInterface
  public interface Encode {
    void encode(float[] x, int from, int count, MemorySegment blocks, long at);
  }

  /// The fastest decoder of blocks of that kind for this machine.
  public static Decode decoder(BlockKind kind, Decode scalar) {
    return scalar;
  }

  /// The fastest encoder of blocks of that kind for this machine.
  public static Encode encoder(BlockKind kind, Encode scalar) {
    return scalar;
  }
}
