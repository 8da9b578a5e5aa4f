package dev.nibble.converter.internal;

import java.io.IOException;
import java.lang.foreign.MemorySegment;

/// The work on one tensor, cut into slices that any worker may take. After its last slice the
/// worker that did it finishes the tensor.
interface Job {
  /// Name of the source tensor.
  String tensor();

  /// Number of units that {@link #run} divides into slices: elements, or bytes of a copied tensor.
  long units();

  /// Units of one slice; every slice but the last has as many.
  long unitsPerSlice();

  /// Bytes of buffer that a worker needs for a slice.
  long bufferBytes();

  /// Source bytes of that many units, for progress.
  long sourceBytes(long units);

  /// Whether {@link #survey} must have seen all units before {@link #run} may take the first; known
  /// after {@link #start()}.
  default boolean surveys() {
    return false;
  }

  /// Looks at units `[begin, begin + count)`, cut as for {@link #run}.
  default void survey(long begin, long count, MemorySegment buffer) {}

  /// Makes ready, on the worker that takes the first slice; no slice runs before it returns.
  default void start() {}

  /// Does units `[begin, begin + count)`.
  ///
  /// @param buffer at least {@link #bufferBytes()}, the worker's own
  void run(long begin, long count, MemorySegment buffer) throws IOException;

  /// Ends the tensor: every slice is done.
  default void finish() throws IOException {}
}
