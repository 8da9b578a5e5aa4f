package dev.nibble.runtime.cpu;

import dev.nibble.formats.Shape;
import dev.nibble.runtime.tensor.RopeTable;
import dev.nibble.runtime.tensor.Tensor;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/// Where elements go, by definition.
abstract class ReferenceLayout extends ReferenceProducts {
  ReferenceLayout(AtomicLong openBytes) {
    super(openBytes);
  }

  @Override
  public Tensor rope(Tensor x, RopeTable table) {
    float[] a = toHost(x);
    float[] cos = toHost(table.cos());
    float[] sin = toHost(table.sin());
    int tokens = x.dim(1);
    int heads = x.dim(2);
    int half = x.dim(3) / 2;
    boolean batched = table.cos().rank() == 3;
    boolean adjacent = table.pairs() == RopeTable.Pairs.ADJACENT;
    for (int b = 0; b < x.dim(0); b++) {
      for (int t = 0; t < tokens; t++) {
        int angle = ((batched ? b * tokens : 0) + t) * half;
        for (int h = 0; h < heads; h++) {
          int at = ((b * tokens + t) * heads + h) * 2 * half;
          for (int k = 0; k < half; k++) {
            int i = at + (adjacent ? 2 * k : k);
            int j = at + (adjacent ? 2 * k + 1 : k + half);
            float re = a[i];
            float im = a[j];
            a[i] = re * cos[angle + k] - im * sin[angle + k];
            a[j] = re * sin[angle + k] + im * cos[angle + k];
          }
        }
      }
    }
    return like(x, a);
  }

  @Override
  public Tensor concat(int axis, List<Tensor> parts) {
    long[] dims = dims(parts.getFirst());
    int outer = 1;
    for (int i = 0; i < axis; i++) {
      outer *= (int) dims[i];
    }
    dims[axis] = 0;
    for (Tensor part : parts) {
      dims[axis] += part.dim(axis);
    }
    float[] out = new float[Math.toIntExact(Shape.of(dims).elements())];
    int row = out.length / outer;
    int at = 0;
    for (Tensor part : parts) {
      int size = part.elements() / outer;
      for (int o = 0; o < outer; o++) {
        System.arraycopy(
            CpuBuffer.array(part), CpuBuffer.offset(part) + o * size, out, o * row + at, size);
      }
      at += size;
    }
    return make(out, dims);
  }

  @Override
  public Tensor slice(Tensor x, int axis, int begin, int end) {
    long[] dims = dims(x);
    int outer = 1;
    for (int i = 0; i < axis; i++) {
      outer *= (int) dims[i];
    }
    int inner = 1;
    for (int i = axis + 1; i < dims.length; i++) {
      inner *= (int) dims[i];
    }
    int size = (int) dims[axis];
    dims[axis] = (long) end - begin;
    float[] out = new float[outer * (end - begin) * inner];
    for (int o = 0; o < outer; o++) {
      System.arraycopy(
          CpuBuffer.array(x),
          CpuBuffer.offset(x) + (o * size + begin) * inner,
          out,
          o * (end - begin) * inner,
          (end - begin) * inner);
    }
    return make(out, dims);
  }

  @Override
  public Tensor permute(Tensor x, int... axes) {
    int rank = axes.length;
    int[] stride = new int[rank];
    int running = 1;
    for (int i = rank - 1; i >= 0; i--) {
      stride[i] = running;
      running *= x.dim(i);
    }
    long[] dims = new long[rank];
    for (int i = 0; i < rank; i++) {
      dims[i] = x.dim(axes[i]);
    }
    float[] a = toHost(x);
    float[] out = new float[a.length];
    for (int e = 0; e < out.length; e++) {
      int rest = e;
      int from = 0;
      for (int i = rank - 1; i >= 0; i--) {
        from += rest % (int) dims[i] * stride[axes[i]];
        rest /= (int) dims[i];
      }
      out[e] = a[from];
    }
    return make(out, dims);
  }

  @Override
  public Tensor upsampleNearest2x(Tensor x) {
    int height = x.dim(1);
    int width = x.dim(2);
    int channels = x.dim(3);
    float[] a = toHost(x);
    float[] out = new float[4 * a.length];
    int at = 0;
    for (int b = 0; b < x.dim(0); b++) {
      for (int y = 0; y < 2 * height; y++) {
        for (int xx = 0; xx < 2 * width; xx++, at += channels) {
          System.arraycopy(
              a, ((b * height + y / 2) * width + xx / 2) * channels, out, at, channels);
        }
      }
    }
    return make(out, x.dim(0), 2L * height, 2L * width, channels);
  }
}
