package dev.nibble.converter.algorithm;

import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.calibration.InputStatistics;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;
import java.util.Random;

/// Statistics of rows that are at hand, as the runtime would record them.
final class TestInput implements InputStatistics {
  private final float[] x;
  private final int features;
  private final Optional<MemorySegment> hessian;

  TestInput(float[] x, int features, Optional<MemorySegment> hessian) {
    this.x = x;
    this.features = features;
    this.hessian = hessian;
  }

  /// @param x `[rows, features]`
  static TestInput of(float[] x, int features) {
    double[] sums = new double[features * features];
    for (int row = 0; row < x.length / features; row++) {
      for (int i = 0; i < features; i++) {
        double left = x[row * features + i];
        for (int j = 0; j < features; j++) {
          sums[i * features + j] += left * x[row * features + j];
        }
      }
    }
    MemorySegment hessian = MemorySegment.ofArray(new byte[4 * sums.length]);
    for (int i = 0; i < sums.length; i++) {
      hessian.setAtIndex(LittleEndian.FLOAT, i, (float) sums[i]);
    }
    return new TestInput(x, features, Optional.of(hessian));
  }

  /// Rows whose features follow each other closely, some of them much larger than others.
  static TestInput correlated(int rows, int features, long seed) {
    Random random = new Random(seed);
    float[] x = new float[rows * features];
    for (int row = 0; row < rows; row++) {
      double level = 0;
      for (int i = 0; i < features; i++) {
        level = 0.9 * level + random.nextGaussian();
        x[row * features + i] = (float) (level * Math.exp(Math.sin(i * 0.7)));
      }
    }
    return of(x, features);
  }

  TestInput withHessian(int row, int column, float value) {
    MemorySegment copy = MemorySegment.ofArray(new byte[4 * features * features]);
    copy.copyFrom(hessian.orElseThrow());
    copy.setAtIndex(LittleEndian.FLOAT, (long) row * features + column, value);
    copy.setAtIndex(LittleEndian.FLOAT, (long) column * features + row, value);
    return new TestInput(x, features, Optional.of(copy));
  }

  /// The rows, `[rows, features]`.
  float[] x() {
    return x;
  }

  @Override
  public int features() {
    return features;
  }

  @Override
  public Optional<MemorySegment> hessian() {
    return hessian;
  }

  @Override
  public String name() {
    return "layers.0.attention.to_q";
  }

  @Override
  public List<String> modules() {
    return List.of(name());
  }

  @Override
  public long count() {
    return sampleRows();
  }

  @Override
  public double[] meanAbs() {
    double[] mean = new double[features];
    for (int i = 0; i < x.length; i++) {
      mean[i % features] += Math.abs(x[i]) / sampleRows();
    }
    return mean;
  }

  @Override
  public float[] maxAbs() {
    float[] most = new float[features];
    for (int i = 0; i < x.length; i++) {
      most[i % features] = Math.max(most[i % features], Math.abs(x[i]));
    }
    return most;
  }

  @Override
  public double[] meanSquare() {
    double[] mean = new double[features];
    for (int i = 0; i < x.length; i++) {
      mean[i % features] += (double) x[i] * x[i] / sampleRows();
    }
    return mean;
  }

  @Override
  public MemorySegment sample() {
    return MemorySegment.ofArray(x);
  }

  @Override
  public int sampleRows() {
    return x.length / features;
  }

  /// `mean((X ΔWᵀ)²)`, in float64.
  double outputError(float[] weight, float[] other) {
    int out = weight.length / features;
    double sum = 0;
    for (int row = 0; row < sampleRows(); row++) {
      for (int o = 0; o < out; o++) {
        double dot = 0;
        for (int i = 0; i < features; i++) {
          dot +=
              x[row * features + i] * ((double) other[o * features + i] - weight[o * features + i]);
        }
        sum += dot * dot;
      }
    }
    return sum / ((double) sampleRows() * out);
  }
}
