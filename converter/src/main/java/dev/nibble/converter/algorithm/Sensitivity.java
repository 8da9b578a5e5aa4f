package dev.nibble.converter.algorithm;

import dev.nibble.converter.linalg.Workers;
import dev.nibble.formats.model.LayerNote;
import dev.nibble.formats.model.ModelFamily;
import dev.nibble.formats.quant.ActivationType;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/// What a layer loses when its weight and its inputs have 8 bits: the error of its outputs as a
/// part of them (0.01 is one percent, or 40 dB), on sampled tokens.
///
/// @param module path of the layer
/// @param type of its inputs
/// @param plain error without input scales
/// @param smoothed error with the scales of {@link Smoothing}
public record Sensitivity(String module, ActivationType type, double plain, double smoothed) {
  /// The error from which on a layer keeps 16 bits where nothing else is asked for: what FP8, whose
  /// numbers are 2 to 3 % off each, stays below unless outliers come to it.
  public static final double DEFAULT_LIMIT = 0.05;

  /// Sensitivities of layers that share an input scale, and that scale.
  ///
  /// @param smoothing the scales that `smoothed` was measured with
  public record Group(ScaleChoice smoothing, List<Sensitivity> layers) {
    public Group {
      layers = List.copyOf(layers);
    }
  }

  /// Measures layers that share an input scale.
  ///
  /// @param layers at least one, with the scheme that the weight will have, such as `absmax8` or
  ///   `fp8:row`
  public static Group measure(
      List<CalibratedLayer> layers, ActivationType type, SearchOptions options) {
    ScaleChoice smoothing = Smoothing.search(layers, Optional.of(type), options);
    Sensitivity[] found = new Sensitivity[layers.size()];
    try (Workers workers = new Workers(options.threads())) {
      workers.each(
          found.length,
          i -> found[i] = of(layers.get(i), type, smoothing.scales(), options.maxRows()));
    }
    return new Group(smoothing, List.of(found));
  }

  private static Sensitivity of(
      CalibratedLayer layer, ActivationType type, float[] scales, int maxRows) {
    InputTrial trial = new InputTrial(layer, type, maxRows);
    float[] ones = new float[scales.length];
    Arrays.fill(ones, 1);
    return new Sensitivity(
        layer.module(), type, trial.relativeError(ones), trial.relativeError(scales));
  }

  /// Why the layer must keep 16 bits, if it must: because it is of a kind that decides over whole
  /// blocks, or loses more than the limit.
  ///
  /// @param smoothing whether its input will be scaled
  /// @param limit of the error, as {@link #DEFAULT_LIMIT}
  public Optional<String> kept(ModelFamily family, boolean smoothing, double limit) {
    Optional<String> kind =
        family.sixteenBitInputs().stream()
            .filter(note -> note.matches(module))
            .map(LayerNote::reason)
            .findFirst();
    double error = smoothing ? smoothed : plain;
    // What is not a number is not below the limit.
    return kind.isPresent() || error <= limit
        ? kind
        : Optional.of(
            "8-bit inputs cost %.1f %% of its output, more than %.1f %%"
                .formatted(100 * error, 100 * limit));
  }
}
