package dev.nibble.formats.internal.simd;

/// Sums of squares of numbers and of their errors, for one worker, in double.
///
/// Number `i` goes to sum `i % 16`, and the sums are added in order at the end. So vectors of any
/// length and scalar code give the same bits.
public final class ErrorLanes {
  /// How many sums there are; what is added at once is a multiple of it.
  static final int LANES = 16;

  final double[] squares = new double[LANES];
  final double[] errors = new double[LANES];
  double max;

  /// Starts anew.
  public void clear() {
    for (int i = 0; i < LANES; i++) {
      squares[i] = 0;
      errors[i] = 0;
    }
    max = 0;
  }

  /// Sum of squares of the numbers.
  public double squares() {
    return sum(squares);
  }

  /// Sum of squared errors.
  public double errors() {
    return sum(errors);
  }

  /// Largest absolute error.
  public double max() {
    return max;
  }

  private static double sum(double[] lanes) {
    double sum = 0;
    for (double lane : lanes) {
      sum += lane;
    }
    return sum;
  }
}
