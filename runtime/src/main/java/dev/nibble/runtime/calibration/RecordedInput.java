package dev.nibble.runtime.calibration;

import dev.nibble.formats.NibbleException;
import dev.nibble.formats.calibration.CalibrationWriter.Sums;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.util.Optional;

/// What is known so far of one input. Vectors and the sample are kept on the host; rows of the
/// Hessian, as many as this pass has memory for, where the model computes.
final class RecordedInput {
  private final String name;
  private final int features;
  private final RowSample sample;
  private long count;
  private final double[] absSum;
  private final float[] absMax;
  private final double[] squareSum;

  /// The tensor that the layer which names this input took last.
  private Optional<Tensor> current = Optional.empty();

  /// Rows `[begin, end)` of the Hessian are summed in this pass; those before are done.
  private int begin;

  private int end;

  /// `[end - begin, features]`; empty if no row is summed in this pass.
  private Optional<Tensor> gram = Optional.empty();

  RecordedInput(String name, int features, int samples) {
    this.name = name;
    this.features = features;
    sample = new RowSample(name, features, samples);
    absSum = new double[features];
    absMax = new float[features];
    squareSum = new double[features];
  }

  String name() {
    return name;
  }

  int features() {
    return features;
  }

  int begin() {
    return begin;
  }

  int end() {
    return end;
  }

  Optional<Tensor> gram() {
    return gram;
  }

  /// Sums rows `[begin, end)` of the Hessian from now on.
  ///
  /// @param tensor of those rows, or empty if there are none
  void startPass(int newBegin, int newEnd, Optional<Tensor> tensor) {
    begin = newBegin;
    end = newEnd;
    gram = tensor;
  }

  Sums sums() {
    return new Sums(count, absSum.clone(), absMax.clone(), squareSum.clone(), sample.rows());
  }

  /// Goes on from earlier sums.
  void restore(Sums earlier) {
    count = earlier.count();
    System.arraycopy(earlier.absSum(), 0, absSum, 0, features);
    System.arraycopy(earlier.absMax(), 0, absMax, 0, features);
    System.arraycopy(earlier.squareSum(), 0, squareSum, 0, features);
    sample.restore(earlier.sample());
  }

  /// Whether the tensor is the one that is recorded already: the same elements of the same buffer,
  /// which lives still, for a dead one never comes back.
  @SuppressWarnings("ReferenceEquality") // buffers are places, not values
  boolean isCurrent(Tensor x) {
    return current.isPresent()
        && current.get().buffer() == x.buffer()
        && current.get().offset() == x.offset()
        && current.get().elements() == x.elements()
        && x.dim(-1) == features;
  }

  /// Records the rows of x.
  ///
  /// @param x `[..., features]`
  /// @param weight of the rows: they are recorded times its square root
  /// @param vectors whether to record the vectors and the sample too
  void add(Tensor x, float weight, Ops ops, boolean vectors) {
    current = Optional.of(x);
    int rows = x.elements() / features;
    Tensor plain = x.reshape(rows, features);
    try (Region _ = ops.region()) {
      Tensor matrix = weight == 1 ? plain : ops.affine(plain, (float) Math.sqrt(weight), 0);
      if (vectors) {
        sample.add(count, matrix, ops);
        addSums(matrix, ops);
        count += rows;
      }
      gram.ifPresent(sum -> ops.addGram(sum, begin, matrix));
    }
  }

  private void addSums(Tensor x, Ops ops) {
    float[] sums;
    try (Region _ = ops.region()) {
      sums = ops.toHost(ops.featureSums(x));
    }
    for (int i = 0; i < features; i++) {
      float square = sums[2 * features + i];
      if (!Float.isFinite(square)) {
        throw new NibbleException(
            ("layer '%s' was given numbers that are not finite: check the model's weights; what a"
                    + " model overflows on can't calibrate it")
                .formatted(name));
      }
      absSum[i] += sums[i];
      absMax[i] = Math.max(absMax[i], sums[features + i]);
      squareSum[i] += square;
    }
  }
}
