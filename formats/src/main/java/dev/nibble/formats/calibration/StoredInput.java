package dev.nibble.formats.calibration;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/// The statistics of an input as a file stores them: sums, from which means follow.
final class StoredInput implements InputStatistics {
  private final List<String> modules;
  private final long count;
  private final double[] absSum;
  private final float[] absMax;
  private final double[] squareSum;
  private final MemorySegment sample;
  private final int sampleRows;
  private final Optional<MemorySegment> hessian;

  StoredInput(
      List<String> modules,
      long count,
      double[] absSum,
      float[] absMax,
      double[] squareSum,
      MemorySegment sample,
      int sampleRows,
      Optional<MemorySegment> hessian) {
    this.modules = modules;
    this.count = count;
    this.absSum = absSum;
    this.absMax = absMax;
    this.squareSum = squareSum;
    this.sample = sample;
    this.sampleRows = sampleRows;
    this.hessian = hessian;
  }

  @Override
  public String name() {
    return modules.getFirst();
  }

  @Override
  public List<String> modules() {
    return modules;
  }

  @Override
  public int features() {
    return absMax.length;
  }

  @Override
  public long count() {
    return count;
  }

  @Override
  public double[] meanAbs() {
    return mean(absSum);
  }

  @Override
  public float[] maxAbs() {
    return absMax.clone();
  }

  @Override
  public double[] meanSquare() {
    return mean(squareSum);
  }

  private double[] mean(double[] sums) {
    return Arrays.stream(sums).map(sum -> sum / count).toArray();
  }

  @Override
  public Optional<MemorySegment> hessian() {
    return hessian;
  }

  @Override
  public MemorySegment sample() {
    return sample;
  }

  @Override
  public int sampleRows() {
    return sampleRows;
  }
}
