package dev.nibble.formats.quant.ggml;

import java.lang.foreign.MemorySegment;
import java.util.Optional;

/// Encodes and decodes the blocks of one ggml type. Stateless and safe for many threads.
public interface GgmlCodec {
  /// The type, one with {@link GgmlType#isQuantized()}.
  GgmlType type();

  /// Encodes whole blocks as ggml's `quantize_TYPE` does.
  ///
  /// @param x finite numbers, of which `[from, from + count)` are encoded
  /// @param count a multiple of the block size; with `importance` exactly one row of the weight,
  ///   since some types take the mean square of the whole row into account
  /// @param importance a weight for each of the `count` numbers, at least 0 (llama.cpp's importance
  ///   matrix), from index 0; types whose quantizer has no use for it ignore it
  /// @param blocks receives the blocks from byte `at` on
  void encode(
      float[] x, int from, int count, Optional<float[]> importance, MemorySegment blocks, long at);

  /// Decodes whole blocks to float32, by ggml's own arithmetic.
  ///
  /// @param blocks read from byte `at` on; any bytes are legal
  /// @param x receives `count` numbers from index `from` on
  /// @param count a multiple of the block size
  /// @param scratch of the calling thread, as long as {@link #scratchBytes} says
  void decode(MemorySegment blocks, long at, float[] x, int from, int count, byte[] scratch);

  /// As above, with scratch of its own.
  default void decode(MemorySegment blocks, long at, float[] x, int from, int count) {
    decode(blocks, at, x, from, count, new byte[scratchBytes(count)]);
  }

  /// Bytes of scratch that decoding `count` elements takes. Arrays are kept from call to call: new
  /// ones for each tile cost half of the rate at which memory is written.
  default int scratchBytes(int count) {
    return (int) type().byteSize(Math.min(Pieces.SIZE, count));
  }
}
