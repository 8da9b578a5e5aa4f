package dev.nibble.formats.quant;

import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.OptionalLong;

/// Quantizes one weight, slice by slice. Slices may come in any order and from many threads at
/// once, as long as each begins at a multiple of {@link QuantScheme#sliceAlignment}; the result
/// does not depend on how the weight was cut.
public interface WeightEncoder {
  /// Whether {@link #survey} must have seen every element before the first is encoded: what
  /// statistics of the whole weight cost.
  default boolean surveys() {
    return false;
  }

  /// Looks at elements `[begin, begin + count)` for statistics of the whole weight. Slices as those
  /// of {@link #encode}.
  ///
  /// @param source the slice's own bytes in the weight's source dtype, borrowed
  default void survey(long begin, long count, MemorySegment source) {}

  /// Encodes elements `[begin, begin + count)` of the row-major weight.
  ///
  /// @param source the slice's own bytes in the weight's source dtype, borrowed
  /// @param codes receives the slice's {@link Part#CODES}: {@link QuantScheme#codeBytes} of `count`
  void encode(long begin, long count, MemorySegment source, MemorySegment codes);

  /// Index of the first element found so far that is not finite (or that the scheme's arithmetic
  /// makes infinite), if any.
  OptionalLong nonFinite();

  /// Ends the weight once every element has been encoded, and returns all parts but the codes. The
  /// segments belong to the allocator that the encoder was made with.
  Map<Part, MemorySegment> finish();

  /// The error of what a reader will decode, in float32; after {@link #finish()}.
  QuantError error();
}
