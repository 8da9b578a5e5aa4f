package dev.nibble.formats.internal.simd;

/// Sums of squares of numbers and of their errors, for one worker.
///
/// Vector kernels add in float32 to one sum a lane, so {@link #flush()} must follow every few
/// thousand elements; the lanes are added in a fixed order, so the result doesn't depend on whether
/// code is compiled.
public final class ErrorSum {
  /// As many lanes as the longest vectors have (2048 bits).
  static final int LANES = 64;

  /// Kernels sum in float32 only for scales between these, where squares neither overflow nor
  /// vanish.
  private static final float LEAST = 0x1p-40f;

  private static final float MOST = 0x1p40f;

  final float[] laneSquares = new float[LANES];
  final float[] laneErrors = new float[LANES];
  final int[] laneMaxBits = new int[LANES];

  private double squares;
  private double errors;
  private double max;

  /// Whether numbers of that scale may be summed in float32.
  static boolean isModerate(float scale) {
    return scale >= LEAST && scale <= MOST;
  }

  /// Adds one number and what it will be decoded to.
  void add(float value, float decoded) {
    double error = (double) value - decoded;
    squares += (double) value * value;
    errors += error * error;
    max = Math.max(max, Math.abs(error));
  }

  /// Adds the lanes to the sums.
  public void flush() {
    for (int i = 0; i < LANES; i++) {
      squares += laneSquares[i];
      errors += laneErrors[i];
      max = Math.max(max, Float.intBitsToFloat(laneMaxBits[i]));
      laneSquares[i] = 0;
      laneErrors[i] = 0;
      laneMaxBits[i] = 0;
    }
  }

  /// Starts anew.
  public void clear() {
    flush();
    squares = 0;
    errors = 0;
    max = 0;
  }

  /// Sum of squares of the numbers that were flushed.
  public double squares() {
    return squares;
  }

  /// Sum of squared errors.
  public double errors() {
    return errors;
  }

  /// Largest absolute error.
  public double max() {
    return max;
  }
}
