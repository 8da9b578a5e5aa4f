package dev.nibble.converter.internal;

import java.io.IOException;
import java.lang.foreign.MemorySegment;

/// What becomes of one tensor in one output: takes its elements slice by slice, in any order and
/// from many threads, and writes what it makes of them.
interface Sink {
  /// Slices begin at multiples of this many elements.
  long alignment();

  /// Bytes of buffer that it needs for a slice of that many elements.
  long bufferBytes(long elements);

  /// Makes ready; no slice comes before it returns.
  default void start() {}

  /// Whether {@link #survey} must have seen all elements before {@link #accept} may take the first;
  /// known after {@link #start()}.
  default boolean surveys() {
    return false;
  }

  /// Looks at elements `[begin, begin + count)`; their bytes as of {@link #accept}.
  default void survey(long begin, long count, MemorySegment source) {}

  /// Takes elements `[begin, begin + count)`.
  ///
  /// @param source their bytes, in the tensor's dtype
  /// @param buffer at least {@link #bufferBytes}, the calling thread's own
  void accept(long begin, long count, MemorySegment source, MemorySegment buffer)
      throws IOException;

  /// Ends the tensor: every slice has come.
  default void finish() throws IOException {}
}
