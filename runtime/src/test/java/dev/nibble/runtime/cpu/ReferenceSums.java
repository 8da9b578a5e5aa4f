package dev.nibble.runtime.cpu;

import dev.nibble.runtime.tensor.Tensor;
import java.util.concurrent.atomic.AtomicLong;

/// Sums by their definitions, in float64.
abstract class ReferenceSums extends ReferenceLayout {
  ReferenceSums(AtomicLong openBytes) {
    super(openBytes);
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
}
