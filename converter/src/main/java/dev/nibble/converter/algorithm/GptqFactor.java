package dev.nibble.converter.algorithm;

import dev.nibble.converter.linalg.InverseCholesky;
import dev.nibble.converter.linalg.Workers;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.calibration.InputStatistics;
import java.util.Comparator;
import java.util.Optional;
import java.util.stream.IntStream;

/// What GPTQ needs to know of an input: the factor U of the inverse of its damped Hessian, columns
/// in the order in which they are rounded. Immutable; layers that take the same input share it, and
/// so do any number of threads.
///
/// An input that was never other than zero is dead: its Hessian becomes 1 on the diagonal, and its
/// column of the weight 0. If the Hessian is not positive definite, the damping is raised tenfold
/// until it is, up to {@link #MOST_DAMPING}.
public final class GptqFactor {
  /// The damping at which it is given up: a diagonal twice as large in the mean.
  public static final double MOST_DAMPING = 1;

  private static final double RAISE = 10;

  private final InverseCholesky inverse;
  private final GptqOptions options;
  private final int[] order;
  private final boolean[] dead;
  private final double damping;

  private GptqFactor(
      InverseCholesky inverse, GptqOptions options, int[] order, boolean[] dead, double damping) {
    this.inverse = inverse;
    this.options = options;
    this.order = order;
    this.dead = dead;
    this.damping = damping;
  }

  /// Factorizes the Hessian of an input.
  ///
  /// @param inputScale the s `[in]` that the layer divides its input by, if it does: the Hessian is
  ///   that of x/s
  /// @throws NibbleException if the statistics have no Hessian, or none that can be used
  public static GptqFactor of(
      InputStatistics input, Optional<float[]> inputScale, GptqOptions options, int threads) {
    ScaledHessian hessian = ScaledHessian.of(input, inputScale);
    int[] order = order(hessian.diagonal(), options.actOrder());
    try (Workers workers = new Workers(threads)) {
      for (double damping = options.damping(); ; damping *= RAISE) {
        double used = Math.min(damping, MOST_DAMPING);
        float ridge = (float) (used * hessian.meanDiagonal());
        Optional<InverseCholesky> inverse =
            InverseCholesky.of(
                input.features(),
                (row, target, at) -> hessian.read(row, order, ridge, target, at),
                workers);
        if (inverse.isPresent()) {
          return new GptqFactor(inverse.get(), options, order, hessian.dead(), used);
        }
        if (used == MOST_DAMPING) {
          throw new NibbleException(
              "the Hessian of input '%s' is not positive definite, not even with damping %s: calibrate anew"
                  .formatted(input.name(), MOST_DAMPING));
        }
      }
    }
  }

  /// Columns by descending diagonal, ties in their order; or as they are.
  private static int[] order(float[] diagonal, boolean descending) {
    IntStream columns = IntStream.range(0, diagonal.length);
    return descending
        ? columns
            .boxed()
            .sorted(Comparator.comparingDouble((Integer column) -> -diagonal[column]))
            .mapToInt(Integer::intValue)
            .toArray()
        : columns.toArray();
  }

  /// Bytes of heap that {@link #of} needs at most; what it returns keeps half of them.
  public static long bytes(int features) {
    return InverseCholesky.bytes(features);
  }

  /// Inputs of the layers.
  public int features() {
    return inverse.size();
  }

  public GptqOptions options() {
    return options;
  }

  /// The damping that it took, as a part of the diagonal's mean.
  public double damping() {
    return damping;
  }

  /// Inputs that were never other than zero.
  public int deadInputs() {
    int count = 0;
    for (boolean one : dead) {
      count += one ? 1 : 0;
    }
    return count;
  }

  InverseCholesky inverse() {
    return inverse;
  }

  /// The input whose column is rounded in each place.
  int input(int place) {
    return order[place];
  }

  boolean isDead(int input) {
    return dead[input];
  }

  /// The group of each input, where groups follow the order of rounding.
  int[] groupIndex(int groupSize) {
    int[] index = new int[order.length];
    for (int place = 0; place < order.length; place++) {
      index[order[place]] = place / groupSize;
    }
    return index;
  }
}
