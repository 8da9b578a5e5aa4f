package dev.nibble.formats.calibration;

import dev.nibble.formats.DType;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.safetensors.SafetensorsCheckpoint;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/// Reads and checks the tensors of one input.
final class StatisticsReader {
  static final String COUNT = ".count";
  static final String ABS_SUM = ".abs_sum";
  static final String ABS_MAX = ".abs_max";
  static final String SQUARE_SUM = ".square_sum";
  static final String SAMPLE = ".sample";
  static final String HESSIAN = ".hessian";

  private final Path file;
  private final SafetensorsCheckpoint checkpoint;

  StatisticsReader(Path file, SafetensorsCheckpoint checkpoint) {
    this.file = file;
    this.checkpoint = checkpoint;
  }

  /// @param modules the layers that take the input, the one that names it first
  InputStatistics read(List<String> modules, int features) {
    String name = modules.getFirst();
    long count = count(name + COUNT);
    double[] absSum = doubles(name + ABS_SUM, features);
    double[] squareSum = doubles(name + SQUARE_SUM, features);
    float[] absMax = floats(name + ABS_MAX, features);
    TensorInfo sample = sample(name + SAMPLE, features, count);
    Optional<MemorySegment> hessian =
        checkpoint.tensors().containsKey(name + HESSIAN)
            ? Optional.of(hessian(name + HESSIAN, features))
            : Optional.empty();
    return new StoredInput(
        List.copyOf(modules),
        count,
        absSum,
        absMax,
        squareSum,
        checkpoint.data(sample),
        Math.toIntExact(sample.shape().dim(0)),
        hessian);
  }

  private TensorInfo tensor(String name, DType dtype, Shape shape) {
    TensorInfo tensor = tensor(name);
    if (tensor.dtype() != dtype || !tensor.shape().equals(shape)) {
      throw fault(
          name,
          "%s of shape %s".formatted(dtype, shape),
          "%s of %s".formatted(tensor.dtype(), tensor.shape()));
    }
    return tensor;
  }

  private TensorInfo tensor(String name) {
    TensorInfo tensor = checkpoint.tensors().get(name);
    if (tensor == null) {
      throw fault(name, "statistics of every input", "no such tensor");
    }
    return tensor;
  }

  private FormatException fault(String tensor, String expected, String found) {
    return new FormatException(
        Where.in(file).tensor(tensor), expected, found + ": record the statistics anew");
  }

  private long count(String name) {
    long count = checkpoint.data(tensor(name, DType.I64, Shape.of(1))).get(LittleEndian.LONG, 0);
    if (count < 1) {
      throw fault(name, "rows that were seen, 1 or more", Long.toString(count));
    }
    return count;
  }

  private double[] doubles(String name, int features) {
    MemorySegment data = checkpoint.data(tensor(name, DType.F64, Shape.of(features)));
    double[] values = new double[features];
    MemorySegment.copy(data, LittleEndian.DOUBLE, 0, values, 0, features);
    for (int i = 0; i < features; i++) {
      requireSum(name, i, values[i]);
    }
    return values;
  }

  private float[] floats(String name, int features) {
    MemorySegment data = checkpoint.data(tensor(name, DType.F32, Shape.of(features)));
    float[] values = new float[features];
    MemorySegment.copy(data, LittleEndian.FLOAT, 0, values, 0, features);
    for (int i = 0; i < features; i++) {
      requireSum(name, i, values[i]);
    }
    return values;
  }

  private void requireSum(String name, int feature, double value) {
    if (!(value >= 0) || value == Double.POSITIVE_INFINITY) {
      throw fault(
          name, "numbers that are finite and not negative", value + " of feature " + feature);
    }
  }

  private TensorInfo sample(String name, int features, long count) {
    TensorInfo tensor = tensor(name);
    Shape shape = tensor.shape();
    if (tensor.dtype() != DType.F32
        || shape.rank() != 2
        || shape.dim(1) != features
        || shape.dim(0) > count) {
      throw fault(
          name,
          "F32 rows of %d numbers, at most %d of them".formatted(features, count),
          "%s of %s".formatted(tensor.dtype(), shape));
    }
    return tensor;
  }

  private MemorySegment hessian(String name, int features) {
    MemorySegment data = checkpoint.data(tensor(name, DType.F32, Shape.of(features, features)));
    for (int i = 0; i < features; i++) {
      requireSum(name, i, data.get(LittleEndian.FLOAT, Float.BYTES * (long) i * (features + 1)));
    }
    return data;
  }
}
