package dev.nibble.converter.linalg;

/// A dense matrix in float32, row-major, rows {@link #stride()} apart: what fills the last strip of
/// a {@link dev.nibble.converter.linalg.simd.GemmKernel} is there, and stays out of every result.
public final class Matrix implements Rows {
  private final int rows;
  private final int columns;
  private final int stride;
  private final float[] data;

  /// Zeros.
  public Matrix(int rows, int columns) {
    this.rows = rows;
    this.columns = columns;
    this.stride = Gemm.padded(columns);
    this.data = new float[Math.multiplyExact(rows, stride)];
  }

  public int rows() {
    return rows;
  }

  public int columns() {
    return columns;
  }

  /// Distance of rows in {@link #data}.
  public int stride() {
    return stride;
  }

  /// The elements themselves, to be read and written.
  public float[] data() {
    return data;
  }

  public float get(int row, int column) {
    return data[row * stride + column];
  }

  public void set(int row, int column, float value) {
    data[row * stride + column] = value;
  }

  @Override
  public void read(int row, float[] target, int at) {
    System.arraycopy(data, row * stride, target, at, columns);
  }
}
