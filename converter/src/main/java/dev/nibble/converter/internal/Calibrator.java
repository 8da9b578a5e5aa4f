package dev.nibble.converter.internal;

import dev.nibble.converter.Calibrated;
import dev.nibble.converter.Calibration;
import dev.nibble.converter.Calibration.Scales;
import dev.nibble.converter.CalibrationResult;
import dev.nibble.converter.ConversionCancelledException;
import dev.nibble.converter.ConversionException;
import dev.nibble.converter.ConversionPlan;
import dev.nibble.converter.TensorPlan;
import dev.nibble.converter.algorithm.AwqClip;
import dev.nibble.converter.algorithm.CalibratedLayer;
import dev.nibble.converter.algorithm.ClipChoice;
import dev.nibble.converter.algorithm.Gptq;
import dev.nibble.converter.algorithm.GptqFactor;
import dev.nibble.converter.algorithm.GptqOptions;
import dev.nibble.converter.algorithm.LowRank;
import dev.nibble.converter.algorithm.RoundToNearest;
import dev.nibble.converter.algorithm.RowQuantizer;
import dev.nibble.converter.algorithm.SearchOptions;
import dev.nibble.converter.algorithm.SvdDecomposition;
import dev.nibble.converter.algorithm.WeightRows;
import dev.nibble.converter.internal.CalibratedEncoder.Preparation;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.Shape;
import dev.nibble.formats.calibration.CalibrationFile;
import dev.nibble.formats.calibration.InputStatistics;
import dev.nibble.formats.quant.GridEncoder;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.SvdBranch;
import dev.nibble.formats.quant.SvdQuant;
import java.io.IOException;
import java.lang.foreign.SegmentAllocator;
import java.util.Arrays;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// What statistics say of the weights of one output. Owns the file of statistics.
///
/// One weight is prepared at a time, with all threads; what that takes (a factor of the Hessian,
/// which the layers of one input share) is kept until the next input comes.
final class Calibrator implements AutoCloseable {
  private final Calibration wish;
  private final CalibrationFile stats;
  private final InputScales scales;
  private final OpenModel source;
  private final int threads;
  private @Nullable Key latest;
  private @Nullable GptqFactor factor;

  /// Whose factor it is.
  private record Key(String input, int scale) {}

  private Calibrator(
      Calibration wish, CalibrationFile stats, InputScales scales, OpenModel source, int threads) {
    this.wish = wish;
    this.stats = stats;
    this.scales = scales;
    this.source = source;
    this.threads = threads;
  }

  /// Opens the statistics and searches what many weights share.
  ///
  /// @throws NibbleException if the statistics do not help
  static Calibrator open(
      Calibration wish, ConversionPlan plan, OpenModel source, InputScales.Watch watch)
      throws IOException {
    CalibrationFile stats = CalibrationFile.open(wish.stats());
    try {
      int threads = plan.request().threads();
      InputScales scales =
          wish.scales().isPresent()
              ? InputScales.search(stats, plan, source, wish.scales().get(), watch)
              : InputScales.NONE;
      return new Calibrator(wish, stats, scales, source, threads);
    } catch (ConversionCancelledException e) {
      stats.close();
      throw e;
    } catch (NibbleException e) {
      stats.close();
      throw new ConversionException(wish.stats() + ": " + e.getMessage(), e);
    } catch (Throwable e) {
      stats.close();
      throw e;
    }
  }

  /// What becomes of the rows of tensors that absorb scales.
  InputScales scales() {
    return scales;
  }

  /// A weight with the encoder that was made for it.
  record Prepared(CalibratedEncoder encoder, OutputErrors errors, double damping) {
    CalibrationResult result() {
      return errors.result(damping);
    }
  }

  /// Makes the encoder of a weight.
  ///
  /// @param memory for its statistics
  synchronized Prepared prepare(TensorPlan.Quantize plan, Calibrated how, SegmentAllocator memory) {
    try {
      return prepareOne(plan, how, memory);
    } catch (NibbleException e) {
      throw new ConversionException(
          "%s: layer '%s': %s".formatted(wish.stats(), how.module(), e.getMessage()), e);
    }
  }

  private Prepared prepareOne(TensorPlan.Quantize plan, Calibrated how, SegmentAllocator memory) {
    InputStatistics input = stats.of(how.module()).orElseThrow();
    Shape shape = plan.source().shape();
    QuantScheme scheme = residual(plan);
    Optional<float[]> scale = scales.of(how.module());
    Optional<SvdBranch> branch = branch(plan, input, scale);
    Optional<GptqFactor> factor = how.gptq().map(options -> factor(input, scale, options));
    RowQuantizer quantizer =
        factor.isPresent() ? new Gptq(factor.get()) : new RoundToNearest(input.features());
    OutputErrors errors =
        new OutputErrors(input, grid(scheme, shape, memory), Math.toIntExact(shape.dim(0)));
    CalibratedEncoder encoder =
        new CalibratedEncoder(
            new Preparation(
                quantizer,
                branch,
                stored(plan, how, branch),
                scales.edit(plan.source().name()),
                clip(plan, how, input, scale),
                errors),
            grid(scheme, shape, memory),
            shape,
            plan.source().dtype(),
            memory);
    return new Prepared(encoder, errors, factor.map(GptqFactor::damping).orElse(0.0));
  }

  private static GridEncoder grid(QuantScheme scheme, Shape shape, SegmentAllocator memory) {
    return scheme.grid(shape, memory).orElseThrow();
  }

  private Optional<SvdBranch> branch(
      TensorPlan.Quantize plan, InputStatistics input, Optional<float[]> scale) {
    float[] scales = scale.orElseGet(() -> ones(input.features()));
    Shape shape = plan.source().shape();
    if (!(plan.quantScheme() instanceof SvdQuant svd)) {
      return scale.map(given -> SvdBranch.of(shape, given, new float[0], new float[0]));
    }
    if (svd.rank() == 0) {
      return Optional.of(SvdBranch.of(shape, scales, new float[0], new float[0]));
    }
    SvdDecomposition.Options usual = SvdDecomposition.Options.DEFAULT;
    WeightRows rows = rows(plan);
    LowRank found =
        SvdDecomposition.of(
                rows.scaled(scales),
                Optional.of(new SvdDecomposition.Input(input, scale)),
                svd.residual(),
                new RoundToNearest(input.features()),
                new SvdDecomposition.Options(
                    svd.rank(), usual.rounds(), usual.iterations(), usual.seed()),
                threads)
            .branch();
    return Optional.of(SvdBranch.of(shape, scales, found.up(), found.down()));
  }

  /// What is stored of a branch: not the scale where something before the layer has absorbed it.
  private Optional<SvdBranch> stored(
      TensorPlan.Quantize plan, Calibrated how, Optional<SvdBranch> branch) {
    if (!(plan.quantScheme() instanceof SvdQuant)) {
      return Optional.empty();
    }
    return scales.isAbsorbed(how.module())
        ? branch.map(found ->
            SvdBranch.of(
                plan.source().shape(), ones(found.inputScale().length), found.up(), found.down()))
        : branch;
  }

  private WeightRows rows(TensorPlan.Quantize plan) {
    return new EditedRows(new SourceRows(source, plan.source()), scales.edit(plan.source().name()));
  }

  /// AWQ's limits of a weight's groups, where nothing else looks for such: GPTQ searches its
  /// scales, and a branch takes what is large.
  private Optional<ClipChoice> clip(
      TensorPlan.Quantize plan, Calibrated how, InputStatistics input, Optional<float[]> scale) {
    boolean plain =
        wish.scales().equals(Optional.of(Scales.AWQ))
            && how.gptq().isEmpty()
            && wish.rank().isEmpty()
            && input.sampleRows() > 0;
    if (!plain || !AwqClip.suits(how.module())) {
      return Optional.empty();
    }
    ClipChoice choice =
        AwqClip.search(
            new CalibratedLayer(how.module(), rows(plan), residual(plan), input),
            scale.orElseGet(() -> ones(input.features())),
            new SearchOptions(SearchOptions.DEFAULT.maxRows(), threads));
    return choice.loss() < choice.plainLoss() ? Optional.of(choice) : Optional.empty();
  }

  private static QuantScheme residual(TensorPlan.Quantize plan) {
    return plan.quantScheme() instanceof SvdQuant(QuantScheme residual, int _)
        ? residual
        : plan.quantScheme();
  }

  private static float[] ones(int count) {
    float[] ones = new float[count];
    Arrays.fill(ones, 1);
    return ones;
  }

  private GptqFactor factor(InputStatistics input, Optional<float[]> scale, GptqOptions options) {
    Key key = new Key(input.name(), scale.map(Arrays::hashCode).orElse(0));
    GptqFactor known = factor;
    if (known == null || !key.equals(latest) || !known.options().equals(options)) {
      factor = null; // before the next one takes its memory
      known = GptqFactor.of(input, scale, options, threads);
      factor = known;
      latest = key;
    }
    return known;
  }

  @Override
  public void close() {
    stats.close();
  }
}
