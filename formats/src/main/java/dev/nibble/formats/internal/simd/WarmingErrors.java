package dev.nibble.formats.internal.simd;

/// {@link VectorErrors} once {@link Warmup} finds it compiled; the scalar code until then.
final class WarmingErrors {
  private static final Warmup ADD = new Warmup();

  private WarmingErrors() {}

  static void add(float[] x, float[] decoded, int count, ErrorLanes sums) {
    if (ADD.isWarm()) {
      VectorErrors.add(x, decoded, count, sums);
    } else {
      ADD.run(
          count,
          () -> VectorErrors.add(x, decoded, count, sums),
          () -> ErrorKernel.addScalar(x, decoded, count, sums));
    }
  }
}
