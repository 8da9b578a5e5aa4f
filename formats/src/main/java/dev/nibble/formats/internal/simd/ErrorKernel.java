package dev.nibble.formats.internal.simd;

/// Adds the errors of decoded numbers. All implementations give the same bits.
@FunctionalInterface
public interface ErrorKernel {
  /// Adds `x[0..count)` and what they decode to.
  ///
  /// @param x finite numbers
  /// @param decoded finite numbers
  /// @param count a multiple of 16
  void add(float[] x, float[] decoded, int count, ErrorLanes sums);

  /// The fastest kernel for this machine.
  static ErrorKernel best() {
    return Simd.choose(
        () -> ErrorKernel::addScalar, () -> WarmingErrors::add, () -> VectorErrors::add);
  }

  /// One number at a time: the reference for {@link VectorErrors}.
  static void addScalar(float[] x, float[] decoded, int count, ErrorLanes sums) {
    for (int i = 0; i < count; i++) {
      int lane = i % ErrorLanes.LANES;
      double value = x[i];
      double error = value - decoded[i];
      sums.squares[lane] += value * value;
      sums.errors[lane] += error * error;
      sums.max = Math.max(sums.max, Math.abs(error));
    }
  }
}
