package dev.nibble.converter.algorithm;

import java.util.Arrays;

/// Input scales s of layers that share them: the weight becomes `W·diag(s)`, the input `x/s`. Every
/// scale is finite and above 0. Arrays are borrowed: not to be changed.
public final class ScaleChoice {
  private final float[] scales;
  private final double ratio;
  private final double[] losses;
  private final double plainLoss;

  ScaleChoice(float[] scales, double ratio, double[] losses, double plainLoss) {
    this.scales = scales;
    this.ratio = ratio;
    this.losses = losses;
    this.plainLoss = plainLoss;
  }

  /// The scales that lose least of the grid, `[in]`.
  public float[] scales() {
    return scales;
  }

  /// The exponent that made them.
  public double ratio() {
    return ratio;
  }

  /// Mean squared output error of each ratio of the grid, in order.
  public double[] losses() {
    return losses;
  }

  /// The same without scales.
  public double plainLoss() {
    return plainLoss;
  }

  /// The least loss of the grid; infinite where none is finite.
  public double loss() {
    return Arrays.stream(losses).filter(Double::isFinite).min().orElse(Double.POSITIVE_INFINITY);
  }

  /// Whether the scales lose less than none at all.
  public boolean helps() {
    return loss() < plainLoss;
  }
}
