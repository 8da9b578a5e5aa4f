package dev.nibble.converter.internal;

import dev.nibble.converter.CalibrationResult;
import dev.nibble.converter.algorithm.RoundToNearest;
import dev.nibble.converter.linalg.OutputEnergy;
import dev.nibble.formats.calibration.InputStatistics;
import dev.nibble.formats.quant.GridEncoder;
import java.util.Optional;

/// Errors of a layer's output for the sampled inputs: of the weight as it is written, and as
/// rounding to nearest would have left it. Row by row, so that sums do not depend on who saw which
/// row when. Knows nothing where the statistics hold no sample.
final class OutputErrors {
  private final Optional<OutputEnergy> energy;
  private final RoundToNearest nearest;
  private final GridEncoder grid;
  private final double[] outputs;
  private final double[] ofNearest;
  private final double[] ofWritten;

  /// @param input of the layer
  /// @param grid of the same scheme, for this alone
  OutputErrors(InputStatistics input, GridEncoder grid, int rows) {
    this.energy =
        input.sampleRows() == 0
            ? Optional.empty()
            : Optional.of(
                OutputEnergy.ofSample(input.sample(), input.sampleRows(), input.features()));
    this.grid = grid;
    this.nearest = new RoundToNearest(input.features());
    this.outputs = new double[rows];
    this.ofNearest = new double[rows];
    this.ofWritten = new double[rows];
  }

  /// Looks at whole rows of the weight.
  void survey(int firstRow, int rows, float[] weight) {
    grid.survey(firstRow, rows, weight);
  }

  /// Ends the survey.
  void surveyed() {
    grid.surveyed();
  }

  /// Takes whole rows.
  ///
  /// @param weight as it was, `[rows, in]`
  /// @param decoded as a reader decodes it
  void add(int firstRow, int rows, float[] weight, float[] decoded) {
    energy.ifPresent(of -> add(of, firstRow, rows, weight, decoded));
  }

  private void add(OutputEnergy energy, int firstRow, int rows, float[] weight, float[] decoded) {
    put(outputs, firstRow, energy.each(weight, rows));
    float[] difference = new float[weight.length];
    for (int i = 0; i < weight.length; i++) {
      difference[i] = decoded[i] - weight[i];
    }
    put(ofWritten, firstRow, energy.each(difference, rows));
    System.arraycopy(weight, 0, difference, 0, weight.length);
    nearest.quantize(firstRow, rows, difference, grid, new byte[weight.length]);
    for (int i = 0; i < weight.length; i++) {
      difference[i] -= weight[i];
    }
    put(ofNearest, firstRow, energy.each(difference, rows));
  }

  private static void put(double[] all, int firstRow, double[] some) {
    System.arraycopy(some, 0, all, firstRow, some.length);
  }

  /// Of all rows.
  ///
  /// @param damping that GPTQ took
  CalibrationResult result(double damping) {
    double output = sum(outputs);
    return new CalibrationResult(
        energy.map(_ ->
            new CalibrationResult.Outputs(
                relative(sum(ofNearest), output), relative(sum(ofWritten), output))),
        damping);
  }

  private static double relative(double error, double output) {
    return error == 0 ? 0 : Math.sqrt(error / output);
  }

  private static double sum(double[] values) {
    double sum = 0;
    for (double value : values) {
      sum += value;
    }
    return sum;
  }
}
