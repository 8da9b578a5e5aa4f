package dev.nibble.runtime.cpu;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.internal.simd.FloatWriter;
import dev.nibble.formats.quant.ActivationType;
import dev.nibble.formats.quant.DecodeScratch;
import dev.nibble.runtime.tensor.AttentionBias;
import dev.nibble.runtime.tensor.AttentionOptions;
import dev.nibble.runtime.tensor.Binary;
import dev.nibble.runtime.tensor.Buffer;
import dev.nibble.runtime.tensor.Conv2d;
import dev.nibble.runtime.tensor.LinearWeight;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.RopeTable;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.tensor.Unary;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Collections;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;

/// Plain loops, the definition of each operation: the oracle of the real ones.
final class ReferenceOps implements Ops {
  private final AtomicLong openBytes;
  private final Deque<ReferenceRegion> regions = new ArrayDeque<>();

  ReferenceOps(AtomicLong openBytes) {
    this.openBytes = openBytes;
    regions.push(new ReferenceRegion());
  }

  private final class ReferenceRegion implements Region {
    final Set<Buffer> buffers = Collections.newSetFromMap(new IdentityHashMap<>());

    @Override
    public Tensor keep(Tensor tensor) {
      if (buffers.remove(tensor.buffer())) {
        var it = regions.iterator();
        while (it.next() != this) {}
        it.next().buffers.add(tensor.buffer());
      }
      return tensor;
    }

    @Override
    public void close() {
      if (regions.pop() != this) {
        throw new IllegalStateException("regions close in reverse order of opening");
      }
      for (Buffer buffer : buffers) {
        openBytes.addAndGet(-4 * buffer.capacity());
      }
      buffers.clear();
    }
  }

  private Tensor make(float[] values, Shape shape, ReferenceRegion owner) {
    CpuBuffer buffer = new CpuBuffer(values);
    owner.buffers.add(buffer);
    openBytes.addAndGet(4 * buffer.capacity());
    return new Tensor(DType.F32, shape, buffer, 0);
  }

  private Tensor make(float[] values, long... dims) {
    return make(values, Shape.of(dims), regions.element());
  }

  private Tensor like(Tensor x, float[] values) {
    return make(values, x.shape(), regions.element());
  }

  @Override
  public Region region() {
    ReferenceRegion region = new ReferenceRegion();
    regions.push(region);
    return region;
  }

  @Override
  public Tensor persist(Tensor tensor) {
    return make(toHost(tensor), tensor.shape(), regions.getLast());
  }

  @Override
  public void release(Tensor tensor) {
    for (ReferenceRegion region : regions) {
      if (region.buffers.remove(tensor.buffer())) {
        openBytes.addAndGet(-4 * tensor.buffer().capacity());
        return;
      }
    }
    throw new IllegalStateException("released twice, or not of this session");
  }

  @Override
  public Tensor fromHost(float[] values, long... dims) {
    return make(values.clone(), dims);
  }

  @Override
  public float[] toHost(Tensor x) {
    int at = CpuBuffer.offset(x);
    return Arrays.copyOfRange(CpuBuffer.array(x), at, at + x.elements());
  }

  private static long[] dims(Tensor x) {
    return x.shape().dims().stream().mapToLong(Long::longValue).toArray();
  }

  private static long[] withLast(Tensor x, long last) {
    long[] dims = dims(x);
    dims[dims.length - 1] = last;
    return dims;
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

  @Override
  public Tensor rmsNorm(Tensor x, Optional<Tensor> weight, float eps) {
    float[] a = toHost(x);
    int d = x.dim(-1);
    float[] w = weight.map(this::toHost).orElse(new float[0]);
    for (int at = 0; at < a.length; at += d) {
      double sum = 0;
      for (int i = 0; i < d; i++) {
        sum += (double) a[at + i] * a[at + i];
      }
      float r = (float) (1 / Math.sqrt(sum / d + eps));
      for (int i = 0; i < d; i++) {
        a[at + i] = a[at + i] * r * (w.length == 0 ? 1 : w[i]);
      }
    }
    return like(x, a);
  }

  @Override
  public Tensor layerNorm(Tensor x, float eps) {
    float[] a = toHost(x);
    int d = x.dim(-1);
    for (int at = 0; at < a.length; at += d) {
      double sum = 0;
      for (int i = 0; i < d; i++) {
        sum += a[at + i];
      }
      float mean = (float) (sum / d);
      double squares = 0;
      for (int i = 0; i < d; i++) {
        squares += (double) (a[at + i] - mean) * (a[at + i] - mean);
      }
      float r = (float) (1 / Math.sqrt(squares / d + eps));
      for (int i = 0; i < d; i++) {
        a[at + i] = (a[at + i] - mean) * r;
      }
    }
    return like(x, a);
  }

  @Override
  public Tensor groupNorm(Tensor x, int groups, Tensor weight, Tensor bias, float eps) {
    float[] a = toHost(x);
    float[] w = toHost(weight);
    float[] b = toHost(bias);
    int channels = x.dim(-1);
    int positions = x.dim(1) * x.dim(2);
    int size = channels / groups;
    for (int item = 0; item < x.dim(0); item++) {
      for (int group = 0; group < groups; group++) {
        int at = item * positions * channels + group * size;
        double sum = 0;
        double squares = 0;
        for (int p = 0; p < positions; p++) {
          for (int i = 0; i < size; i++) {
            double value = a[at + p * channels + i];
            sum += value;
            squares += value * value;
          }
        }
        double mean = sum / positions / size;
        double r = 1 / Math.sqrt(squares / positions / size - mean * mean + eps);
        for (int p = 0; p < positions; p++) {
          for (int i = 0; i < size; i++) {
            int e = at + p * channels + i;
            int c = group * size + i;
            a[e] = (float) ((a[e] - mean) * r) * w[c] + b[c];
          }
        }
      }
    }
    return like(x, a);
  }

  @Override
  public Tensor unary(Unary function, Tensor x) {
    float[] a = toHost(x);
    for (int i = 0; i < a.length; i++) {
      float v = a[i];
      a[i] =
          switch (function) {
            case SILU -> (float) (v / (1 + Math.exp(-v)));
            case TANH -> (float) Math.tanh(v);
            case GELU_TANH ->
                (float)
                    (0.5
                        * v
                        * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v * v * v))));
          };
    }
    return like(x, a);
  }

  @Override
  public Tensor binary(Binary function, Tensor a, Tensor b) {
    int rank = Math.max(a.rank(), b.rank());
    long[] dims = new long[rank];
    int[] strideA = new int[rank];
    int[] strideB = new int[rank];
    int sa = 1;
    int sb = 1;
    for (int i = rank - 1; i >= 0; i--) {
      int da = i - rank + a.rank() < 0 ? 1 : a.dim(i - rank + a.rank());
      int db = i - rank + b.rank() < 0 ? 1 : b.dim(i - rank + b.rank());
      if (da != db && da != 1 && db != 1) {
        throw new IllegalArgumentException(function + " of " + a.shape() + " and " + b.shape());
      }
      dims[i] = Math.max(da, db);
      strideA[i] = da == 1 ? 0 : sa;
      strideB[i] = db == 1 ? 0 : sb;
      sa *= da;
      sb *= db;
    }
    float[] x = toHost(a);
    float[] y = toHost(b);
    float[] out = new float[Math.toIntExact(Shape.of(dims).elements())];
    for (int e = 0; e < out.length; e++) {
      int rest = e;
      int ia = 0;
      int ib = 0;
      for (int i = rank - 1; i >= 0; i--) {
        int index = rest % (int) dims[i];
        rest /= (int) dims[i];
        ia += index * strideA[i];
        ib += index * strideB[i];
      }
      out[e] =
          switch (function) {
            case ADD -> x[ia] + y[ib];
            case SUB -> x[ia] - y[ib];
            case MUL -> x[ia] * y[ib];
            case DIV -> x[ia] / y[ib];
          };
    }
    return make(out, dims);
  }

  @Override
  public Tensor linearCombination(float[] coefficients, List<Tensor> terms) {
    float[] out = new float[terms.getFirst().elements()];
    for (int t = 0; t < coefficients.length; t++) {
      float[] x = toHost(terms.get(t));
      for (int i = 0; i < out.length; i++) {
        out[i] = t == 0 ? coefficients[t] * x[i] : out[i] + coefficients[t] * x[i];
      }
    }
    return like(terms.getFirst(), out);
  }

  @Override
  public Tensor affine(Tensor x, float factor, float addend) {
    float[] a = toHost(x);
    for (int i = 0; i < a.length; i++) {
      a[i] = a[i] * factor + addend;
    }
    return like(x, a);
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

  @Override
  public Tensor fakeQuantRows(Tensor x, ActivationType type) {
    float[] out = toHost(x);
    int d = x.dim(-1);
    for (int begin = 0; begin < out.length; begin += d) {
      float most = 0;
      for (int i = begin; i < begin + d; i++) {
        most = Math.max(most, Math.abs(out[i]));
      }
      float scale = most / (type == ActivationType.INT8 ? 127 : 448);
      for (int i = begin; i < begin + d && scale > 0; i++) {
        float code = out[i] / scale;
        float rounded = type == ActivationType.INT8 ? (float) Math.rint(code) : throughFp8(code);
        out[i] = rounded * scale;
      }
    }
    return make(out, dims(x));
  }

  /// By way of the bytes.
  private static float throughFp8(float value) {
    float[] one = {Math.clamp(value, -448, 448)};
    MemorySegment bytes = MemorySegment.ofArray(new byte[1]);
    FloatWriter.of(DType.F8_E4M3).write(one, 1, bytes, 0);
    FloatReader.of(DType.F8_E4M3).read(bytes, 0, one, 1);
    return one[0];
  }

  @Override
  public float meanAbs(Tensor x) {
    double sum = 0;
    for (float v : toHost(x)) {
      sum += Math.abs(v);
    }
    return (float) (sum / x.elements());
  }

  @Override
  public float meanAbsDifference(Tensor a, Tensor b) {
    float[] x = toHost(a);
    float[] y = toHost(b);
    double sum = 0;
    for (int i = 0; i < x.length; i++) {
      sum += Math.abs(x[i] - y[i]);
    }
    return (float) (sum / x.length);
  }

  @Override
  public double dot(Tensor a, Tensor b) {
    float[] x = toHost(a);
    float[] y = toHost(b);
    double sum = 0;
    for (int i = 0; i < x.length; i++) {
      sum += (double) x[i] * y[i];
    }
    return sum;
  }

  @Override
  public Tensor rowNorm(Tensor x) {
    float[] a = toHost(x);
    int d = x.dim(-1);
    float[] out = new float[a.length / d];
    for (int r = 0; r < out.length; r++) {
      double sum = 0;
      for (int i = 0; i < d; i++) {
        sum += (double) a[r * d + i] * a[r * d + i];
      }
      out[r] = (float) Math.sqrt(sum);
    }
    return make(out, withLast(x, 1));
  }

  @Override
  public Tensor rowMeanAbs(Tensor x) {
    float[] a = toHost(x);
    int d = x.dim(-1);
    float[] out = new float[a.length / d];
    for (int r = 0; r < out.length; r++) {
      double sum = 0;
      for (int i = 0; i < d; i++) {
        sum += Math.abs(a[r * d + i]);
      }
      out[r] = (float) (sum / d);
    }
    return make(out, withLast(x, 1));
  }

  @Override
  public void addGram(Tensor sum, int begin, Tensor x) {
    float[] c = CpuBuffer.array(sum);
    float[] a = toHost(x);
    int d = x.dim(-1);
    for (int i = 0; i < sum.dim(0); i++) {
      for (int j = 0; j <= begin + i; j++) {
        double total = c[i * d + j];
        for (int row = 0; row < a.length; row += d) {
          total += (double) a[row + begin + i] * a[row + j];
        }
        c[i * d + j] = (float) total;
      }
    }
  }

  @Override
  public Tensor featureSums(Tensor x) {
    float[] a = toHost(x);
    int d = x.dim(-1);
    float[] out = new float[3 * d];
    for (int j = 0; j < d; j++) {
      double absolute = 0;
      double squares = 0;
      for (int i = j; i < a.length; i += d) {
        absolute += Math.abs(a[i]);
        out[d + j] = Math.max(out[d + j], Math.abs(a[i]));
        squares += (double) a[i] * a[i];
      }
      out[j] = (float) absolute;
      out[2 * d + j] = (float) squares;
    }
    return make(out, 3, d);
  }

  @Override
  public void close() {
    while (!regions.isEmpty()) {
      regions.element().close();
    }
  }
}
