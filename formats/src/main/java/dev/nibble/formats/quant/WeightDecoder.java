package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import java.lang.foreign.MemorySegment;

/// Reads one quantized weight back, slice by slice; safe for many threads.
public interface WeightDecoder {
  /// Decodes elements `[begin, begin + count)`; `begin` a multiple of {@link
  /// QuantScheme#sliceAlignment}. Values are computed in float32 by the scheme's own arithmetic and
  /// rounded once to `type`, to nearest even.
  ///
  /// @param target receives `count` elements of `type`
  /// @param type F32, BF16 or F16
  void decode(long begin, long count, MemorySegment target, DType type);

  /// Decodes elements `[begin, begin + count)` to float32, without allocating. Unlike slices, they
  /// may begin anywhere.
  ///
  /// @param target receives the elements from index `at` on
  /// @param scratch of the calling thread
  void decode(long begin, int count, float[] target, int at, DecodeScratch scratch);
}
