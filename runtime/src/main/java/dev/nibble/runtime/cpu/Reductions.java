package dev.nibble.runtime.cpu;

import dev.nibble.runtime.tensor.Tensor;

/// Numbers for decisions. Sums are in double, in blocks of a fixed size whose sums are then added
/// from left to right.
final class Reductions {
  private static final int BLOCK = 4096;
  private static final double COST = 0.5;

  /// Columns whose sums a thread keeps at a time: their part of a row fills cache lines.
  private static final int FEATURES = 64;

  private final Machine machine;

  Reductions(Machine machine) {
    this.machine = machine;
  }

  /// The sum over elements `[begin, end)`.
  @FunctionalInterface
  private interface BlockSum {
    double over(int begin, int end);
  }

  private double sum(int count, BlockSum block) {
    int blocks = Math.ceilDiv(count, BLOCK);
    double[] sums = new double[blocks];
    machine.overRange(
        blocks,
        COST * BLOCK,
        (begin, end) -> {
          for (int i = begin; i < end; i++) {
            sums[i] = block.over(i * BLOCK, Math.min(count, (i + 1) * BLOCK));
          }
        });
    double total = 0;
    for (double part : sums) {
      total += part;
    }
    return total;
  }

  float meanAbs(Tensor x) {
    float[] a = CpuBuffer.array(x);
    int at = CpuBuffer.offset(x);
    return (float) (sum(x.elements(), (i, j) -> sumAbs(a, at + i, at + j)) / x.elements());
  }

  float meanAbsDifference(Tensor x, Tensor y) {
    float[] a = CpuBuffer.array(x);
    int at = CpuBuffer.offset(x);
    float[] b = CpuBuffer.array(y);
    int bAt = CpuBuffer.offset(y);
    return (float)
        (sum(x.elements(), (i, j) -> sumAbsDifference(a, at + i, b, bAt + i, j - i))
            / x.elements());
  }

  double dot(Tensor x, Tensor y) {
    float[] a = CpuBuffer.array(x);
    int at = CpuBuffer.offset(x);
    float[] b = CpuBuffer.array(y);
    int bAt = CpuBuffer.offset(y);
    return sum(x.elements(), (i, j) -> sumProducts(a, at + i, b, bAt + i, j - i));
  }

  void rowNorm(Tensor x, float[] out) {
    float[] a = CpuBuffer.array(x);
    int at = CpuBuffer.offset(x);
    int d = x.dim(-1);
    machine.overRange(
        x.elements() / Math.max(1, d),
        COST * d,
        (begin, end) -> {
          for (int row = begin; row < end; row++) {
            int from = at + row * d;
            out[row] = (float) Math.sqrt(sumProducts(a, from, a, from, d));
          }
        });
  }

  void rowMeanAbs(Tensor x, float[] out) {
    float[] a = CpuBuffer.array(x);
    int at = CpuBuffer.offset(x);
    int d = x.dim(-1);
    machine.overRange(
        x.elements() / Math.max(1, d),
        COST * d,
        (begin, end) -> {
          for (int row = begin; row < end; row++) {
            int from = at + row * d;
            out[row] = (float) (sumAbs(a, from, from + d) / d);
          }
        });
  }

  /// Of each feature `Σ|x|`, `max |x|` and `Σx²` over the rows in ascending order.
  ///
  /// @param out `[3, D]`
  void features(Tensor x, float[] out) {
    float[] a = CpuBuffer.array(x);
    int at = CpuBuffer.offset(x);
    int d = x.dim(-1);
    int rows = x.elements() / Math.max(1, d);
    machine.overRange(
        Math.ceilDiv(d, FEATURES),
        COST * FEATURES * rows,
        (begin, end) -> {
          for (int i = begin; i < end; i++) {
            int first = i * FEATURES;
            columns(a, at + first, d, rows, Math.min(FEATURES, d - first), out, first);
          }
        });
  }

  private static void columns(
      float[] a, int at, int d, int rows, int count, float[] out, int outAt) {
    double[] absolute = new double[count];
    float[] largest = new float[count];
    double[] squares = new double[count];
    for (int row = 0; row < rows; row++) {
      int from = at + row * d;
      for (int j = 0; j < count; j++) {
        float value = Math.abs(a[from + j]);
        absolute[j] += value;
        largest[j] = Math.max(largest[j], value);
        squares[j] += (double) value * value;
      }
    }
    for (int j = 0; j < count; j++) {
      out[outAt + j] = (float) absolute[j];
      out[d + outAt + j] = largest[j];
      out[2 * d + outAt + j] = (float) squares[j];
    }
  }

  // Four sums each, for one would wait for its own last addition.

  private static double sumAbs(float[] a, int begin, int end) {
    double s0 = 0;
    double s1 = 0;
    double s2 = 0;
    double s3 = 0;
    int i = begin;
    for (; i + 3 < end; i += 4) {
      s0 += Math.abs(a[i]);
      s1 += Math.abs(a[i + 1]);
      s2 += Math.abs(a[i + 2]);
      s3 += Math.abs(a[i + 3]);
    }
    for (; i < end; i++) {
      s0 += Math.abs(a[i]);
    }
    return s0 + s1 + (s2 + s3);
  }

  private static double sumAbsDifference(float[] a, int aAt, float[] b, int bAt, int count) {
    double s0 = 0;
    double s1 = 0;
    double s2 = 0;
    double s3 = 0;
    int i = 0;
    for (; i + 3 < count; i += 4) {
      s0 += Math.abs(a[aAt + i] - b[bAt + i]);
      s1 += Math.abs(a[aAt + i + 1] - b[bAt + i + 1]);
      s2 += Math.abs(a[aAt + i + 2] - b[bAt + i + 2]);
      s3 += Math.abs(a[aAt + i + 3] - b[bAt + i + 3]);
    }
    for (; i < count; i++) {
      s0 += Math.abs(a[aAt + i] - b[bAt + i]);
    }
    return s0 + s1 + (s2 + s3);
  }

  private static double sumProducts(float[] a, int aAt, float[] b, int bAt, int count) {
    double s0 = 0;
    double s1 = 0;
    double s2 = 0;
    double s3 = 0;
    int i = 0;
    for (; i + 3 < count; i += 4) {
      s0 += (double) a[aAt + i] * b[bAt + i];
      s1 += (double) a[aAt + i + 1] * b[bAt + i + 1];
      s2 += (double) a[aAt + i + 2] * b[bAt + i + 2];
      s3 += (double) a[aAt + i + 3] * b[bAt + i + 3];
    }
    for (; i < count; i++) {
      s0 += (double) a[aAt + i] * b[bAt + i];
    }
    return s0 + s1 + (s2 + s3);
  }
}
