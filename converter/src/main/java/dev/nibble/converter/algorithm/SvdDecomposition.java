package dev.nibble.converter.algorithm;

import dev.nibble.converter.linalg.Matrix;
import dev.nibble.converter.linalg.RandomizedSvd;
import dev.nibble.converter.linalg.Rows;
import dev.nibble.converter.linalg.Workers;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.Shape;
import dev.nibble.formats.calibration.InputStatistics;
import dev.nibble.formats.quant.GridEncoder;
import dev.nibble.formats.quant.QuantScheme;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Splits a weight W into a low-rank branch L and a residual that a scheme holds with less error
/// (SVDQuant, Li et al., arXiv:2411.05007).
///
/// L begins as the best approximation of W of its rank, and becomes that of `W - Q(W - L)`, where Q
/// rounds; best in the norm of the layer's outputs if the input's Hessian is known, else of the
/// weight. The round with the least error is kept. Keeps W and what is left of it in memory, in
/// float32.
public final class SvdDecomposition {
  /// Rows that a task works on.
  private static final int SLICE = 96;

  /// Added to the Hessian's diagonal, as a part of its mean, lest directions that the calibration
  /// did not show count for nothing.
  private static final double DAMPING = 0.01;

  private final LowRank branch;
  private final List<Double> errors;

  private SvdDecomposition(LowRank branch, List<Double> errors) {
    this.branch = branch;
    this.errors = List.copyOf(errors);
  }

  /// How it is done.
  ///
  /// @param rank of the branch
  /// @param rounds of fitting the branch to what the residual left over
  /// @param iterations of the SVD
  /// @param seed of the SVD
  public record Options(int rank, int rounds, int iterations, long seed) {
    public static final Options DEFAULT = new Options(32, 3, 2, 0);

    public Options {
      if (rank < 1 || rounds < 1 || iterations < 1) {
        throw new IllegalArgumentException(
            "rank %d, %d rounds, %d iterations: at least 1 each"
                .formatted(rank, rounds, iterations));
      }
    }
  }

  /// The input of the layer.
  ///
  /// @param statistics what it was like
  /// @param scale the s that the layer divides it by, if it does
  public record Input(InputStatistics statistics, Optional<float[]> scale) {}

  /// Fits a branch.
  ///
  /// @param weight as the layer holds it: multiplied by the input's scale, if there is one
  /// @param residual the scheme of the residual
  /// @param quantizer how it is rounded here, where plain rounding will do for GPTQ too
  public static SvdDecomposition of(
      WeightRows weight,
      Optional<Input> input,
      QuantScheme residual,
      RowQuantizer quantizer,
      Options options,
      int threads) {
    try (Workers workers = new Workers(threads)) {
      return new Run(weight, input, residual, quantizer, options, workers).fit();
    }
  }

  public LowRank branch() {
    return branch;
  }

  /// The relative error of each round: of the outputs where the input is known, else of the weight.
  public List<Double> errors() {
    return errors;
  }

  /// One weight at work.
  private static final class Run {
    private final Optional<Input> input;
    private final QuantScheme scheme;
    private final RowQuantizer quantizer;
    private final Options options;
    private final Workers workers;
    private final Matrix weight;

    /// What the branch is fitted to: the weight without what the residual holds.
    private final Matrix rest;

    Run(
        WeightRows rows,
        Optional<Input> input,
        QuantScheme scheme,
        RowQuantizer quantizer,
        Options options,
        Workers workers) {
      this.input = input;
      this.scheme = scheme;
      this.quantizer = quantizer;
      this.options = options;
      this.workers = workers;
      this.weight = new Matrix(rows.rows(), rows.columns());
      this.rest = new Matrix(rows.rows(), rows.columns());
      slices((first, count) -> {
        float[] values = new float[count * rows.columns()];
        rows.read(first, count, values);
        write(values, first, count, weight);
        write(values, first, count, rest);
      });
    }

    SvdDecomposition fit() {
      RandomizedSvd.Options svd =
          new RandomizedSvd.Options(options.rank(), options.iterations(), options.seed());
      Optional<Rows> gram = input.flatMap(Run::gram);
      List<Double> errors = new ArrayList<>();
      Optional<LowRank> best = Optional.empty();
      double least = Double.POSITIVE_INFINITY;
      for (int round = 0; round < options.rounds(); round++) {
        RandomizedSvd parts = RandomizedSvd.of(rest, gram, svd, workers);
        LowRank branch = new LowRank(parts.left(), parts.right());
        double error = round(branch);
        errors.add(error);
        if (best.isEmpty() || error < least) {
          best = Optional.of(branch);
          least = error;
        }
      }
      return new SvdDecomposition(best.orElseThrow(), errors);
    }

    private static Optional<Rows> gram(Input input) {
      if (input.statistics().hessian().isEmpty()) {
        return Optional.empty();
      }
      ScaledHessian hessian = ScaledHessian.of(input.statistics(), input.scale());
      float ridge = (float) (DAMPING * hessian.meanDiagonal());
      return Optional.of((row, target, at) -> {
        hessian.read(row, target, at);
        target[at + row] += ridge;
      });
    }

    /// Rounds what the branch leaves, and leaves in `rest` what the branch should have taken.
    ///
    /// @return the relative error
    private double round(LowRank branch) {
      Comparison comparison = new Comparison(input, weight.rows());
      try (Arena arena = Arena.ofShared()) {
        GridEncoder grid =
            scheme
                .grid(Shape.of(weight.rows(), weight.columns()), arena)
                .orElseThrow(() ->
                    new NibbleException(
                        "%s has no groups that lie within rows of %d: take another scheme for the residual"
                            .formatted(scheme.id(), weight.columns())));
        quantizer.prepare(grid);
        if (grid.surveys()) {
          slices((first, count) -> grid.survey(first, count, residual(branch, first, count)));
        }
        grid.surveyed();
        slices((first, count) -> {
          float[] values = residual(branch, first, count);
          quantizer.quantize(first, count, values, grid, new byte[values.length]);
          float[] whole = read(weight, first, count);
          float[] left = whole.clone();
          for (int i = 0; i < left.length; i++) {
            left[i] -= values[i];
          }
          write(left, first, count, rest);
          branch.addTo(first, count, values);
          comparison.add(first, count, whole, values);
        });
      }
      return comparison.relative();
    }

    private float[] residual(LowRank branch, int first, int count) {
      float[] values = read(weight, first, count);
      branch.subtractFrom(first, count, values);
      return values;
    }

    private static float[] read(Matrix matrix, int first, int count) {
      float[] values = new float[count * matrix.columns()];
      for (int row = 0; row < count; row++) {
        matrix.read(first + row, values, row * matrix.columns());
      }
      return values;
    }

    private static void write(float[] values, int first, int count, Matrix matrix) {
      int columns = matrix.columns();
      for (int row = 0; row < count; row++) {
        int at = (first + row) * matrix.stride();
        System.arraycopy(values, row * columns, matrix.data(), at, columns);
      }
    }

    @FunctionalInterface
    private interface Slice {
      void rows(int first, int count);
    }

    private void slices(Slice slice) {
      int rows = weight.rows();
      workers.each(
          Math.ceilDiv(rows, SLICE), i -> slice.rows(i * SLICE, Math.min(SLICE, rows - i * SLICE)));
    }
  }

  /// The error of outputs, or of the weight where no input is known.
  private static final class Comparison {
    private final Optional<OutputError> outputs;
    private final double[] errors;
    private final double[] totals;

    Comparison(Optional<Input> input, int rows) {
      outputs =
          input
              .filter(given -> given.statistics().sampleRows() > 0)
              .map(given -> new OutputError(given.statistics(), given.scale(), rows));
      errors = new double[rows];
      totals = new double[rows];
    }

    void add(int first, int count, float[] weight, float[] quantized) {
      if (outputs.isPresent()) {
        outputs.get().add(first, count, weight, quantized);
        return;
      }
      int columns = weight.length / count;
      for (int i = 0; i < weight.length; i++) {
        double difference = (double) quantized[i] - weight[i];
        errors[first + i / columns] += difference * difference;
        totals[first + i / columns] += (double) weight[i] * weight[i];
      }
    }

    double relative() {
      if (outputs.isPresent()) {
        return outputs.get().relative();
      }
      double error = 0;
      double total = 0;
      for (int row = 0; row < errors.length; row++) {
        error += errors[row];
        total += totals[row];
      }
      return total == 0 ? 0 : Math.sqrt(error / total);
    }
  }
}
