package dev.nibble.runtime.cpu;

import dev.nibble.runtime.cpu.simd.Kernels;
import dev.nibble.runtime.tensor.Tensor;

/// Normalizations, one pass for the statistics and one for the result. The output is an array from
/// index 0.
final class Norms {
  private static final double COST = 0.3;

  private final Machine machine;

  Norms(Machine machine) {
    this.machine = machine;
  }

  /// @param weight empty for none
  void rms(Tensor x, float[] weight, int weightAt, float eps, float[] out) {
    float[] a = CpuBuffer.array(x);
    int at = CpuBuffer.offset(x);
    int d = x.dim(-1);
    Kernels kernels = machine.kernels();
    machine.overRange(
        x.elements() / Math.max(1, d),
        COST * d,
        (begin, end) -> {
          for (int row = begin; row < end; row++) {
            int from = at + row * d;
            double mean = (double) kernels.dot(a, from, a, from, d) / d;
            float factor = (float) (1 / Math.sqrt(mean + eps));
            if (weight.length == 0) {
              shiftAndScale(a, from, 0, factor, out, row * d, d);
            } else {
              scaleBoth(a, from, factor, weight, weightAt, out, row * d, d);
            }
          }
        });
  }

  void layer(Tensor x, float eps, float[] out) {
    float[] a = CpuBuffer.array(x);
    int at = CpuBuffer.offset(x);
    int d = x.dim(-1);
    Kernels kernels = machine.kernels();
    machine.overRange(
        x.elements() / Math.max(1, d),
        COST * d,
        (begin, end) -> {
          for (int row = begin; row < end; row++) {
            int from = at + row * d;
            float mean = kernels.sum(a, from, d) / d;
            double variance = (double) kernels.squares(a, from, d, mean) / d;
            float factor = (float) (1 / Math.sqrt(variance + eps));
            shiftAndScale(a, from, mean, factor, out, row * d, d);
          }
        });
  }

  private static void shiftAndScale(
      float[] a, int from, float mean, float factor, float[] out, int to, int d) {
    for (int i = 0; i < d; i++) {
      out[to + i] = (a[from + i] - mean) * factor;
    }
  }

  private static void scaleBoth(
      float[] a, int from, float factor, float[] weight, int weightAt, float[] out, int to, int d) {
    for (int i = 0; i < d; i++) {
      out[to + i] = a[from + i] * factor * weight[weightAt + i];
    }
  }

  /// Statistics of the channels first, in double, then of the groups: channels lie side by side in
  /// memory, and the positions of one group do not.
  void group(Tensor x, int groups, Tensor weight, Tensor bias, float eps, float[] out) {
    int channels = x.dim(3);
    int positions = x.dim(1) * x.dim(2);
    int parts = Math.clamp(positions / 64, 1, 64);
    for (int item = 0; item < x.dim(0); item++) {
      float[] a = CpuBuffer.array(x);
      int at = CpuBuffer.offset(x) + item * positions * channels;
      double[] sums = new double[2 * channels * parts];
      machine.overRange(
          parts,
          COST * positions * channels / parts,
          (begin, end) -> {
            for (int part = begin; part < end; part++) {
              int first = (int) ((long) positions * part / parts);
              int last = (int) ((long) positions * (part + 1) / parts);
              sumChannels(a, at, channels, first, last, sums, 2 * channels * part);
            }
          });
      float[] factors = new float[2 * channels];
      factors(sums, parts, positions, groups, weight, bias, eps, factors);
      int outAt = item * positions * channels;
      machine.overRange(
          positions,
          COST * channels,
          (begin, end) -> {
            for (int p = begin; p < end; p++) {
              apply(a, at + p * channels, factors, out, outAt + p * channels, channels);
            }
          });
    }
  }

  private static void sumChannels(
      float[] a, int at, int channels, int first, int last, double[] sums, int sumsAt) {
    for (int p = first; p < last; p++) {
      int from = at + p * channels;
      for (int c = 0; c < channels; c++) {
        double value = a[from + c];
        sums[sumsAt + c] += value;
      }
      for (int c = 0; c < channels; c++) {
        double value = a[from + c];
        sums[sumsAt + channels + c] += value * value;
      }
    }
  }

  /// The factor of each channel, then its addend.
  private static void factors(
      double[] sums,
      int parts,
      int positions,
      int groups,
      Tensor weight,
      Tensor bias,
      float eps,
      float[] factors) {
    float[] w = CpuBuffer.array(weight);
    int wAt = CpuBuffer.offset(weight);
    float[] b = CpuBuffer.array(bias);
    int bAt = CpuBuffer.offset(bias);
    int channels = factors.length / 2;
    int size = channels / groups;
    for (int group = 0; group < groups; group++) {
      double sum = 0;
      double squares = 0;
      for (int part = 0; part < parts; part++) {
        for (int c = group * size; c < (group + 1) * size; c++) {
          sum += sums[2 * channels * part + c];
          squares += sums[2 * channels * part + channels + c];
        }
      }
      double mean = sum / positions / size;
      double variance = Math.max(0, squares / positions / size - mean * mean);
      double scale = 1 / Math.sqrt(variance + eps);
      for (int c = group * size; c < (group + 1) * size; c++) {
        factors[c] = (float) (w[wAt + c] * scale);
        factors[channels + c] = (float) (b[bAt + c] - mean * scale * w[wAt + c]);
      }
    }
  }

  private static void apply(
      float[] a, int from, float[] factors, float[] out, int to, int channels) {
    for (int c = 0; c < channels; c++) {
      out[to + c] = Math.fma(a[from + c], factors[c], factors[channels + c]);
    }
  }
}
