package dev.nibble.converter.algorithm;

/// Where the weights of a layer are cut off before they are rounded, by row and group.
public final class ClipChoice {
  private final int groupSize;
  private final float[] limits;
  private final double loss;
  private final double plainLoss;

  ClipChoice(int groupSize, float[] limits, double loss, double plainLoss) {
    this.groupSize = groupSize;
    this.limits = limits;
    this.loss = loss;
    this.plainLoss = plainLoss;
  }

  /// Elements of a row that share a limit.
  public int groupSize() {
    return groupSize;
  }

  /// Largest magnitude of each group of the scaled weight, `[rows, groups of a row]`; not to be
  /// changed.
  public float[] limits() {
    return limits;
  }

  /// Mean squared error of a group's part of an output, with limits.
  public double loss() {
    return loss;
  }

  /// The same without.
  public double plainLoss() {
    return plainLoss;
  }

  /// Cuts off rows `[firstRow, firstRow + rows)`.
  ///
  /// @param columns of the weight
  /// @param values `[rows, columns]`, row-major, scaled as the searched weight was
  public void apply(int firstRow, int rows, int columns, float[] values) {
    int group = firstRow * (columns / groupSize);
    for (int at = 0; at < rows * columns; at += groupSize) {
      float limit = limits[group++];
      for (int j = at; j < at + groupSize; j++) {
        values[j] = Math.clamp(values[j], -limit, limit);
      }
    }
  }
}
