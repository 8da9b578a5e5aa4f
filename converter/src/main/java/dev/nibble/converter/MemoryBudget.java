package dev.nibble.converter;

/// How the memory for conversion buffers is shared out. Mapped files are not part of it: the
/// operating system takes their pages back when it needs them.
///
/// @param totalBytes bound on everything that the conversion allocates outside the Java heap
/// @param threads worker threads, each with one slice in work
public record MemoryBudget(long totalBytes, int threads) {
  private static final long LARGEST_SLICE = 4L << 20;
  private static final long SMALLEST_SLICE = 64L << 10;

  public MemoryBudget {
    if (totalBytes < threads * SMALLEST_SLICE * 4) {
      throw new ConversionException(
          "a memory bound of "
              + totalBytes
              + " bytes is too small for "
              + threads
              + " threads: give at least "
              + threads * SMALLEST_SLICE * 4
              + ", or fewer threads");
    }
  }

  /// Source bytes that one worker takes at a time: small enough to stay in its cache, and for all
  /// workers' slices together at most a quarter of the budget.
  public long sliceBytes() {
    return Math.clamp(totalBytes / (4L * threads), SMALLEST_SLICE, LARGEST_SLICE);
  }

  /// Largest output buffer of one worker: a slice can't be smaller than one row of a row-wise
  /// scheme.
  public long largestSliceBytes() {
    return totalBytes / (2L * threads);
  }

  /// Memory for statistics of the weights in work; what does not fit goes to a scratch file.
  public long statisticsBytes() {
    return totalBytes / 2;
  }
}
