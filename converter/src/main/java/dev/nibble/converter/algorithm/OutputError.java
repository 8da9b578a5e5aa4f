package dev.nibble.converter.algorithm;

import dev.nibble.converter.linalg.PackedTranspose;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.calibration.InputStatistics;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/// How far the outputs of a layer move when its weight W becomes Q: `‖(Q - W) Xᵀ‖ / ‖W Xᵀ‖` over
/// rows X of its input that the calibration kept. Different rows of the weight may come from
/// different threads; the result does not depend on that.
public final class OutputError {
  /// Rows of X that are used at most, picked evenly.
  private static final int SAMPLES = 512;

  private static final int BAND = 96;

  private final PackedTranspose inputs;
  private final int columns;
  private final double[] errors;
  private final double[] totals;

  /// @param inputScale the s that the layer divides its input by; W and Q are then multiplied by it
  /// @param rows outputs of the layer
  public OutputError(InputStatistics input, Optional<float[]> inputScale, int rows) {
    columns = input.features();
    errors = new double[rows];
    totals = new double[rows];
    int samples = Math.min(SAMPLES, input.sampleRows());
    inputs =
        new PackedTranspose(
            (row, target, at) -> readSample(input, inputScale, row, samples, target, at),
            samples,
            columns);
  }

  private static void readSample(
      InputStatistics input,
      Optional<float[]> inputScale,
      int row,
      int samples,
      float[] target,
      int at) {
    long sample = (long) row * input.sampleRows() / samples;
    int columns = input.features();
    MemorySegment.copy(
        input.sample(), LittleEndian.FLOAT, sample * columns * Float.BYTES, target, at, columns);
    if (inputScale.isPresent()) {
      float[] scale = inputScale.get();
      for (int i = 0; i < columns; i++) {
        target[at + i] /= scale[i];
      }
    }
  }

  /// Compares some rows.
  ///
  /// @param weight W, `[rows, in]`
  /// @param quantized Q, `[rows, in]`
  public void add(int firstRow, int rows, float[] weight, float[] quantized) {
    float[] difference = new float[Math.min(BAND, rows) * columns];
    for (int row = 0; row < rows; row += BAND) {
      int count = Math.min(BAND, rows - row);
      int at = row * columns;
      for (int i = 0; i < count * columns; i++) {
        difference[i] = quantized[at + i] - weight[at + i];
      }
      squares(difference, 0, count, errors, firstRow + row);
      squares(weight, at, count, totals, firstRow + row);
    }
  }

  /// The squared length of each row's outputs.
  private void squares(float[] weight, int at, int rows, double[] target, int first) {
    int stride = inputs.stride();
    float[] outputs = new float[rows * stride];
    inputs.addProduct(weight, at, rows, outputs);
    for (int row = 0; row < rows; row++) {
      double sum = 0;
      for (int i = 0; i < stride; i++) {
        double output = outputs[row * stride + i];
        sum += output * output;
      }
      target[first + row] = sum;
    }
  }

  /// The error of all rows; 0 where there are no outputs but zeros.
  public double relative() {
    double error = 0;
    double total = 0;
    for (int row = 0; row < errors.length; row++) {
      error += errors[row];
      total += totals[row];
    }
    return total == 0 ? 0 : Math.sqrt(error / total);
  }
}
