package dev.nibble.formats.internal.simd;

/// Statistics of a group of blocks, see {@link FourBitChunk}, and the sums of the error over all
/// groups that passed, for the absmax that a reader sees.
///
/// With `d = x - c * a`, an absmax `b` instead of `a` turns the error of an element into `d + c *
/// (a - b)`: squared and summed, `sum(d^2) + 2 * (a - b) * sum(d * c) + (a - b)^2 * sum(c^2)`. In
/// the same way `x = d + c * a` gives the sum of the squared source. The largest error is bounded
/// by `max(abs(d)) + abs(a - b)`, as no `c` is above 1.
public final class FourBitErrors {
  /// {@link FourBitChunk#STATISTICS} numbers a block.
  public final float[] statistics;

  public double sumSquares;
  public double sumSquaredErrors;
  public double maxError;

  public FourBitErrors(int capacity) {
    statistics = new float[FourBitChunk.STATISTICS * capacity];
  }

  /// Adds one block.
  void add(int block, float exact, float decoded) {
    double a = exact;
    double change = a - decoded;
    int at = block * FourBitChunk.STATISTICS;
    double d2 = a * a * statistics[at];
    double dc = a * statistics[at + 1];
    double c2 = statistics[at + 2];
    sumSquares += a * a * c2 + 2 * a * dc + d2;
    sumSquaredErrors += d2 + change * (2 * dc + change * c2);
    maxError = Math.max(maxError, statistics[at + 3] + Math.abs(change));
  }
}
