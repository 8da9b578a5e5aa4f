package dev.nibble.runtime.cpu;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.internal.simd.FloatWriter;
import dev.nibble.formats.quant.ActivationType;
import dev.nibble.runtime.tensor.Binary;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.tensor.Unary;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/// Plain loops, the definition of each operation: the oracle of the real ones.
final class ReferenceOps extends ReferenceSums {
  ReferenceOps(AtomicLong openBytes) {
    super(openBytes);
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
}
