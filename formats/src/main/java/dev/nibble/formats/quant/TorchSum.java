package dev.nibble.formats.quant;

import dev.nibble.formats.LittleEndian;
import java.lang.foreign.MemorySegment;

/// PyTorch's float32 sum on one CPU thread, bit for bit: bitsandbytes' `nested_offset` is such a
/// sum divided by the count, and it stands in every file with all its bits.
///
/// The sum runs in 32 independent columns (4 accumulators of 8 lanes), each of them a cascade of
/// four levels that spill into each other. Source: PyTorch 2.13
/// `aten/src/ATen/native/cpu/SumKernel.cpp`. With more threads PyTorch cuts inputs of 32,768
/// elements and more in pieces and may get another last bit; one thread is the rule here.
final class TorchSum {
  private static final int LANES = 8;
  private static final int ROWS = 4;
  private static final int LEVELS = 4;

  private final MemorySegment values;
  private final long count;

  private TorchSum(MemorySegment values) {
    this.values = values;
    this.count = values.byteSize() / Float.BYTES;
  }

  /// `sum / n`, one float32 division.
  ///
  /// @param values float32, little-endian
  static float mean(MemorySegment values) {
    TorchSum torch = new TorchSum(values);
    return torch.sum() / (float) torch.count;
  }

  static float sum(MemorySegment values) {
    return new TorchSum(values).sum();
  }

  private float sum() {
    if (count < LANES) {
      return 0f + rowSum(count, 1)[0];
    }
    long vectors = count / LANES;
    float[] lanes = rowSum(vectors, LANES);
    float total = 0;
    for (long i = vectors * LANES; i < count; i++) {
      total += get(i);
    }
    for (int lane = 0; lane < LANES; lane++) {
      total += lanes[lane];
    }
    return total;
  }

  private float get(long index) {
    return values.get(LittleEndian.FLOAT, index * Float.BYTES);
  }

  /// Sums `vectors` vectors of `lanes` floats into the first `lanes` elements.
  private float[] rowSum(long vectors, int lanes) {
    long rows = vectors / ROWS;
    float[] sums = cascade(rows, ROWS * lanes);
    for (long i = rows * ROWS; i < vectors; i++) {
      for (int lane = 0; lane < lanes; lane++) {
        sums[lane] += get(i * lanes + lane);
      }
    }
    for (int row = 1; row < ROWS; row++) {
      for (int lane = 0; lane < lanes; lane++) {
        sums[lane] += sums[row * lanes + lane];
      }
    }
    return sums;
  }

  private float[] cascade(long rows, int columns) {
    int power = Math.max(4, ceilLog2(rows) / LEVELS);
    int step = 1 << power;
    float[][] sums = new float[LEVELS][columns];
    float[] buffer = new float[step * columns];
    long row = 0;
    while (row + step <= rows) {
      addRows(row, step, buffer, sums[0]);
      row += step;
      for (int level = 1; level < LEVELS; level++) {
        spill(sums[level - 1], sums[level]);
        if ((row & ((step - 1L) << (level * power))) != 0) {
          break;
        }
      }
    }
    addRows(row, (int) (rows - row), buffer, sums[0]);
    for (int level = 1; level < LEVELS; level++) {
      for (int column = 0; column < columns; column++) {
        sums[0][column] += sums[level][column];
      }
    }
    return sums[0];
  }

  private void addRows(long row, int rows, float[] buffer, float[] sums) {
    int columns = sums.length;
    MemorySegment.copy(
        values, LittleEndian.FLOAT, row * columns * Float.BYTES, buffer, 0, rows * columns);
    for (int begin = 0; begin < rows * columns; begin += columns) {
      for (int column = 0; column < columns; column++) {
        sums[column] += buffer[begin + column];
      }
    }
  }

  private static void spill(float[] lower, float[] upper) {
    for (int column = 0; column < upper.length; column++) {
      upper[column] += lower[column];
      lower[column] = 0;
    }
  }

  private static int ceilLog2(long n) {
    return n <= 2 ? 1 : Long.SIZE - Long.numberOfLeadingZeros(n - 1);
  }
}
