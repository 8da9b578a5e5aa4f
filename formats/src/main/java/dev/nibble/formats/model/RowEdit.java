package dev.nibble.formats.model;

/// What becomes of some rows of a tensor when it takes over the input scales of later layers: row
/// `firstRow + i` is multiplied by `factor(i)`, then `addend(i)` is added to it. Of a tensor `[n]`
/// (a bias, the weight of a norm), each element is a row.
public final class RowEdit {
  private final String tensor;
  private final long firstRow;
  private final float[] factors;
  private final float[] addends;

  /// @param addends as long as `factors`, or empty if nothing is added
  RowEdit(String tensor, long firstRow, float[] factors, float[] addends) {
    this.tensor = tensor;
    this.firstRow = firstRow;
    this.factors = factors;
    this.addends = addends;
  }

  /// Name of the tensor.
  public String tensor() {
    return tensor;
  }

  public long firstRow() {
    return firstRow;
  }

  /// Rows that are edited.
  public int rows() {
    return factors.length;
  }

  public float factor(int i) {
    return factors[i];
  }

  public float addend(int i) {
    return addends.length == 0 ? 0 : addends[i];
  }
}
