package dev.nibble.runtime.cpu;

import dev.nibble.runtime.tensor.RopeTable;
import dev.nibble.runtime.tensor.Tensor;
import java.util.List;

/// Operations that move elements. The output is an array from index 0.
final class Layout {
  private static final double COST = 0.3;

  private final Machine machine;

  Layout(Machine machine) {
    this.machine = machine;
  }

  /// @param outer product of the sizes of the axes before the one that grows
  static void concat(int outer, List<Tensor> parts, float[] out) {
    int row = 0;
    for (Tensor part : parts) {
      row += part.elements() / outer;
    }
    int to = 0;
    for (Tensor part : parts) {
      float[] a = CpuBuffer.array(part);
      int at = CpuBuffer.offset(part);
      int size = part.elements() / outer;
      for (int o = 0; o < outer; o++) {
        System.arraycopy(a, at + o * size, out, o * row + to, size);
      }
      to += size;
    }
  }

  /// @param inner product of the sizes of the axes after the one that is cut
  static void slice(Tensor x, int outer, int size, int inner, int begin, int end, float[] out) {
    float[] a = CpuBuffer.array(x);
    int at = CpuBuffer.offset(x);
    int length = (end - begin) * inner;
    for (int o = 0; o < outer; o++) {
      System.arraycopy(a, at + (o * size + begin) * inner, out, o * length, length);
    }
  }

  void permute(Tensor x, int[] axes, float[] out) {
    int rank = axes.length;
    int[] strides = new int[rank];
    int running = 1;
    for (int i = rank - 1; i >= 0; i--) {
      strides[i] = running;
      running *= x.dim(i);
    }
    int[] sizes = new int[rank];
    int[] steps = new int[rank];
    for (int i = 0; i < rank; i++) {
      sizes[i] = x.dim(axes[i]);
      steps[i] = strides[axes[i]];
    }
    float[] a = CpuBuffer.array(x);
    int at = CpuBuffer.offset(x);
    int inner = rank == 0 ? 1 : sizes[rank - 1];
    int step = rank == 0 ? 0 : steps[rank - 1];
    if (x.elements() == 0) {
      return;
    }
    machine.overRange(
        x.elements() / inner,
        COST * inner + 4,
        (begin, end) -> {
          for (int i = begin; i < end; i++) {
            int rest = i;
            int from = at;
            for (int axis = rank - 2; axis >= 0; axis--) {
              from += rest % sizes[axis] * steps[axis];
              rest /= sizes[axis];
            }
            if (step == 1) {
              System.arraycopy(a, from, out, i * inner, inner);
            } else {
              gather(a, from, step, out, i * inner, inner);
            }
          }
        });
  }

  private static void gather(float[] a, int from, int step, float[] out, int to, int count) {
    for (int i = 0; i < count; i++) {
      out[to + i] = a[from + i * step];
    }
  }

  void upsample(Tensor x, float[] out) {
    float[] a = CpuBuffer.array(x);
    int at = CpuBuffer.offset(x);
    int width = x.dim(2);
    int channels = x.dim(3);
    int row = 2 * width * channels;
    machine.overRange(
        x.dim(0) * x.dim(1),
        COST * 2 * row,
        (begin, end) -> {
          for (int y = begin; y < end; y++) {
            int to = 2 * y * row;
            for (int i = 0; i < width; i++, to += 2 * channels) {
              int from = at + (y * width + i) * channels;
              System.arraycopy(a, from, out, to, channels);
              System.arraycopy(a, from, out, to + channels, channels);
            }
            System.arraycopy(out, 2 * y * row, out, (2 * y + 1) * row, row);
          }
        });
  }

  void rope(Tensor x, RopeTable table, float[] out) {
    float[] a = CpuBuffer.array(x);
    int at = CpuBuffer.offset(x);
    float[] cos = CpuBuffer.array(table.cos());
    int cosAt = CpuBuffer.offset(table.cos());
    float[] sin = CpuBuffer.array(table.sin());
    int sinAt = CpuBuffer.offset(table.sin());
    int heads = x.dim(2);
    int half = x.dim(3) / 2;
    int angles = table.cos().rank() == 3 ? x.dim(0) * x.dim(1) : x.dim(1);
    machine.overRange(
        x.dim(0) * x.dim(1),
        COST * 2 * heads * half,
        (begin, end) -> {
          for (int token = begin; token < end; token++) {
            int angle = token % angles * half;
            for (int h = 0; h < heads; h++) {
              int head = (token * heads + h) * 2 * half;
              switch (table.pairs()) {
                case ADJACENT ->
                    adjacent(a, at + head, cos, cosAt + angle, sin, sinAt + angle, out, head, half);
                case HALVES ->
                    halves(a, at + head, cos, cosAt + angle, sin, sinAt + angle, out, head, half);
              }
            }
          }
        });
  }

  private static void adjacent(
      float[] x,
      int at,
      float[] cos,
      int cosAt,
      float[] sin,
      int sinAt,
      float[] out,
      int to,
      int half) {
    for (int k = 0; k < half; k++) {
      float re = x[at + 2 * k];
      float im = x[at + 2 * k + 1];
      float c = cos[cosAt + k];
      float s = sin[sinAt + k];
      out[to + 2 * k] = re * c - im * s;
      out[to + 2 * k + 1] = re * s + im * c;
    }
  }

  private static void halves(
      float[] x,
      int at,
      float[] cos,
      int cosAt,
      float[] sin,
      int sinAt,
      float[] out,
      int to,
      int half) {
    for (int k = 0; k < half; k++) {
      float re = x[at + k];
      float im = x[at + half + k];
      float c = cos[cosAt + k];
      float s = sin[sinAt + k];
      out[to + k] = re * c - im * s;
      out[to + half + k] = re * s + im * c;
    }
  }
}
