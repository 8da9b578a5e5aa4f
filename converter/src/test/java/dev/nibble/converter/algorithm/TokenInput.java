package dev.nibble.converter.algorithm;

import dev.nibble.formats.calibration.InputStatistics;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/// Statistics of a few tokens that are all known.
final class TokenInput implements InputStatistics {
  private final String name;
  private final float[] tokens;
  private final int features;
  private final boolean withHessian;

  TokenInput(String name, float[] tokens, int features, boolean withHessian) {
    this.name = name;
    this.tokens = tokens;
    this.features = features;
    this.withHessian = withHessian;
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public int features() {
    return features;
  }

  @Override
  public List<String> modules() {
    return List.of(name);
  }

  @Override
  public long count() {
    return tokens.length / features;
  }

  @Override
  public double[] meanAbs() {
    double[] mean = new double[features];
    for (int i = 0; i < tokens.length; i++) {
      mean[i % features] += Math.abs(tokens[i]) / (double) count();
    }
    return mean;
  }

  @Override
  public float[] maxAbs() {
    float[] max = new float[features];
    for (int i = 0; i < tokens.length; i++) {
      max[i % features] = Math.max(max[i % features], Math.abs(tokens[i]));
    }
    return max;
  }

  @Override
  public double[] meanSquare() {
    double[] mean = new double[features];
    for (int i = 0; i < tokens.length; i++) {
      mean[i % features] += (double) tokens[i] * tokens[i] / count();
    }
    return mean;
  }

  @Override
  public Optional<MemorySegment> hessian() {
    if (!withHessian) {
      return Optional.empty();
    }
    float[] hessian = new float[features * features];
    for (int i = 0; i < features; i++) {
      for (int j = 0; j < features; j++) {
        double sum = 0;
        for (int t = 0; t < tokens.length; t += features) {
          sum += (double) tokens[t + i] * tokens[t + j];
        }
        hessian[i * features + j] = (float) sum;
      }
    }
    return Optional.of(MemorySegment.ofArray(hessian));
  }

  @Override
  public MemorySegment sample() {
    return MemorySegment.ofArray(tokens);
  }

  @Override
  public int sampleRows() {
    return (int) count();
  }
}
