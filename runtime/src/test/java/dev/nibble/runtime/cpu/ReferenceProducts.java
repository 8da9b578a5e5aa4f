package dev.nibble.runtime.cpu;

import dev.nibble.formats.quant.DecodeScratch;
import dev.nibble.runtime.tensor.AttentionBias;
import dev.nibble.runtime.tensor.AttentionOptions;
import dev.nibble.runtime.tensor.Conv2d;
import dev.nibble.runtime.tensor.LinearWeight;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/// Products by their definitions.
abstract class ReferenceProducts extends ReferenceMemory {
  ReferenceProducts(AtomicLong openBytes) {
    super(openBytes);
  }

  @Override
  public Tensor linear(Tensor x, LinearWeight weight, Optional<Tensor> bias) {
    int k = weight.inFeatures();
    int n = weight.outFeatures();
    if (x.dim(-1) != k) {
      throw new IllegalArgumentException("linear of %s with [%d, %d]".formatted(x.shape(), n, k));
    }
    int m = x.elements() / k;
    float[] a = CpuBuffer.array(x);
    int at = CpuBuffer.offset(x);
    float[] w = new float[n * k];
    ((CpuLinearWeight) weight).read(0, n, w, new DecodeScratch());
    float[] transposed = new float[n * k];
    for (int j = 0; j < n; j++) {
      for (int i = 0; i < k; i++) {
        transposed[i * n + j] = w[j * k + i];
      }
    }
    float[] out = new float[m * n];
    float[] b = bias.isPresent() ? toHost(bias.get()) : new float[n];
    for (int row = 0; row < m; row++) {
      float[] sum = b.clone();
      for (int i = 0; i < k; i++) {
        float value = a[at + row * k + i];
        int from = i * n;
        for (int j = 0; j < n; j++) {
          sum[j] += value * transposed[from + j];
        }
      }
      System.arraycopy(sum, 0, out, row * n, n);
    }
    return make(out, withLast(x, n));
  }

  @Override
  public Tensor embedding(LinearWeight table, int[] ids) {
    int d = table.inFeatures();
    float[] out = new float[ids.length * d];
    float[] row = new float[d];
    for (int i = 0; i < ids.length; i++) {
      ((CpuLinearWeight) table).read(ids[i], 1, row, new DecodeScratch());
      System.arraycopy(row, 0, out, i * d, d);
    }
    return make(out, ids.length, d);
  }

  @Override
  public Tensor attention(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
    int batch = q.dim(0);
    int tq = q.dim(1);
    int heads = q.dim(2);
    int dim = q.dim(3);
    int tk = k.dim(1);
    int group = heads / k.dim(2);
    int dv = v.dim(3);
    float scale = options.scale().orElse((float) (1 / Math.sqrt(dim)));
    float[] qa = toHost(q);
    float[] ka = toHost(k);
    float[] va = toHost(v);
    float[] out = new float[batch * tq * heads * dv];
    float[] scores = new float[tk];
    for (int b = 0; b < batch; b++) {
      for (int h = 0; h < heads; h++) {
        for (int i = 0; i < tq; i++) {
          int qAt = ((b * tq + i) * heads + h) * dim;
          float max = Float.NEGATIVE_INFINITY;
          for (int j = 0; j < tk; j++) {
            int kAt = ((b * tk + j) * k.dim(2) + h / group) * dim;
            float sum = 0;
            for (int e = 0; e < dim; e++) {
              sum += qa[qAt + e] * ka[kAt + e];
            }
            scores[j] = sum * scale + bias(options.bias(), b, h, i, j, tq, tk, heads);
            max = Math.max(max, scores[j]);
          }
          if (max == Float.NEGATIVE_INFINITY) {
            continue;
          }
          float total = 0;
          for (int j = 0; j < tk; j++) {
            scores[j] = (float) Math.exp(scores[j] - max);
            total += scores[j];
          }
          int oAt = ((b * tq + i) * heads + h) * dv;
          for (int j = 0; j < tk; j++) {
            int vAt = ((b * tk + j) * k.dim(2) + h / group) * dv;
            float p = scores[j] / total;
            for (int e = 0; e < dv; e++) {
              out[oAt + e] += p * va[vAt + e];
            }
          }
        }
      }
    }
    return make(out, batch, tq, heads, dv);
  }

  private float bias(AttentionBias bias, int b, int h, int i, int j, int tq, int tk, int heads) {
    int d = tk - tq;
    boolean seen =
        switch (bias) {
          case AttentionBias.None() -> true;
          case AttentionBias.LowerTriangular() -> j <= i;
          case AttentionBias.LowerTriangularFromBottomRight() -> j <= i + d;
          case AttentionBias.LocalFromBottomRight(int left, int right) ->
              i + d - (long) left <= j && j <= i + d + (long) right;
          case AttentionBias.BlockDiagonal(var queries, var keys) ->
              segment(queries, i) == segment(keys, j);
          case AttentionBias.KeyLengths(var lengths) -> j < lengths.get(b);
          case AttentionBias.Dense _ -> true;
        };
    if (bias instanceof AttentionBias.Dense(Tensor t)) {
      return CpuBuffer.array(t)[CpuBuffer.offset(t) + ((b * heads + h) * tq + i) * tk + j];
    }
    return seen ? 0 : Float.NEGATIVE_INFINITY;
  }

  private static int segment(List<Integer> lengths, int index) {
    int segment = 0;
    int end = lengths.get(0);
    while (index >= end) {
      end += lengths.get(++segment);
    }
    return segment;
  }

  @Override
  public Tensor conv2d(Tensor x, LinearWeight weight, Optional<Tensor> bias, Conv2d g) {
    int batch = x.dim(0);
    int height = x.dim(1);
    int width = x.dim(2);
    int channels = x.dim(3);
    int outHeight = g.outHeight(height);
    int outWidth = g.outWidth(width);
    float[] a = toHost(x);
    int patch = g.kernel() * g.kernel() * channels;
    float[] columns = new float[batch * outHeight * outWidth * patch];
    int at = 0;
    for (int b = 0; b < batch; b++) {
      for (int oy = 0; oy < outHeight; oy++) {
        for (int ox = 0; ox < outWidth; ox++) {
          for (int ky = 0; ky < g.kernel(); ky++) {
            for (int kx = 0; kx < g.kernel(); kx++, at += channels) {
              int y = oy * g.stride() + ky - g.top();
              int xx = ox * g.stride() + kx - g.left();
              if (y >= 0 && y < height && xx >= 0 && xx < width) {
                System.arraycopy(
                    a, ((b * height + y) * width + xx) * channels, columns, at, channels);
              }
            }
          }
        }
      }
    }
    try (Region region = region()) {
      return region.keep(linear(make(columns, batch, outHeight, outWidth, patch), weight, bias));
    }
  }
}
