package dev.nibble.formats.quant;

/// How far decoded values lie from the source, summed over elements in float64.
///
/// @param elements number of elements
/// @param sumSquares sum of the squared source values
/// @param sumSquaredErrors sum of the squared differences
/// @param maxError largest absolute difference
public record QuantError(
    long elements, double sumSquares, double sumSquaredErrors, double maxError) {
  public static final QuantError NONE = new QuantError(0, 0, 0, 0);

  public QuantError plus(QuantError other) {
    return new QuantError(
        elements + other.elements,
        sumSquares + other.sumSquares,
        sumSquaredErrors + other.sumSquaredErrors,
        Math.max(maxError, other.maxError));
  }

  /// Signal to noise in dB; infinite where nothing was lost.
  public double snrDb() {
    return sumSquaredErrors == 0
        ? Double.POSITIVE_INFINITY
        : 10 * Math.log10(sumSquares / sumSquaredErrors);
  }

  /// Norm of the difference over norm of the source (relative Frobenius error).
  public double relative() {
    return sumSquaredErrors == 0 ? 0 : Math.sqrt(sumSquaredErrors / sumSquares);
  }
}
