package dev.nibble.converter;

import dev.nibble.converter.LayerDecisions.Decision;
import dev.nibble.converter.algorithm.CalibratedLayer;
import dev.nibble.converter.algorithm.SearchOptions;
import dev.nibble.converter.algorithm.Sensitivity;
import dev.nibble.converter.internal.SourceRows;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.Text;
import dev.nibble.formats.calibration.CalibrationStats;
import dev.nibble.formats.calibration.InputStatistics;
import dev.nibble.formats.model.ModelFamily;
import dev.nibble.formats.quant.AbsmaxInt8;
import dev.nibble.formats.quant.ActivationType;
import dev.nibble.formats.quant.Fp8;
import dev.nibble.formats.quant.QuantScheme;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.function.Predicate;

/// Which layers bear inputs of 8 bits: measured on the inputs that the statistics keep, so here
/// alone a plan looks at data.
///
/// @param layers all, those that do not bear it kept as they are
/// @param inputs of the others by module
record EightBitInputs(Layers layers, SequencedMap<String, ActivationType> inputs) {
  /// Measures every layer.
  ///
  /// @param smooths whether inputs will be scaled where something absorbs that
  static EightBitInputs measure(
      Layers layers,
      CalibrationStats stats,
      OpenModel model,
      ModelFamily family,
      ConversionRequest request,
      Predicate<Decision.Quantize> smooths) {
    SearchOptions options = new SearchOptions(SearchOptions.DEFAULT.maxRows(), request.threads());
    Map<String, List<Decision.Quantize>> groups = new LinkedHashMap<>();
    for (Decision.Quantize weight : layers.quantized()) {
      stats
          .of(module(weight))
          .ifPresent(
              input -> groups.computeIfAbsent(input.name(), _ -> new ArrayList<>()).add(weight));
    }
    Map<String, Sensitivity> found = new LinkedHashMap<>();
    for (List<Decision.Quantize> group : groups.values()) {
      List<CalibratedLayer> measured = new ArrayList<>();
      for (Decision.Quantize weight : group) {
        InputStatistics input = stats.of(module(weight)).orElseThrow();
        measured.add(
            new CalibratedLayer(
                module(weight), new SourceRows(model, weight.tensor()), weight.scheme(), input));
      }
      ActivationType type = type(group.getFirst().scheme(), module(group.getFirst()));
      Sensitivity.measure(measured, type, options)
          .layers()
          .forEach(one -> found.put(one.module(), one));
    }
    List<Decision> decisions = new ArrayList<>();
    SequencedMap<String, ActivationType> inputs = new LinkedHashMap<>();
    for (Decision decision : layers.decisions()) {
      decisions.add(
          decision instanceof Decision.Quantize weight
              ? decide(weight, found, family, smooths.test(weight), inputs)
              : decision);
    }
    return new EightBitInputs(new Layers(decisions), inputs);
  }

  private static Decision decide(
      Decision.Quantize weight,
      Map<String, Sensitivity> found,
      ModelFamily family,
      boolean smooths,
      SequencedMap<String, ActivationType> inputs) {
    String module = module(weight);
    Sensitivity sensitivity = found.get(module);
    if (sensitivity == null) {
      return new Decision.Keep(weight.tensor(), "its inputs were not recorded", true);
    }
    Optional<String> kept = sensitivity.kept(family, smooths, Sensitivity.DEFAULT_LIMIT);
    if (kept.isPresent()) {
      return new Decision.Keep(weight.tensor(), kept.get(), true);
    }
    inputs.put(module, sensitivity.type());
    double error = smooths ? sensitivity.smoothed() : sensitivity.plain();
    return new Decision.Quantize(
        weight.tensor(),
        weight.scheme(),
        String.format(
            Locale.ROOT,
            "%s; inputs %s, which cost %.2f %% of its output",
            weight.reason(),
            sensitivity.type().label(),
            100 * error));
  }

  private static String module(Decision.Quantize weight) {
    return LayerDecisions.module(weight.tensor().name());
  }

  /// Inputs are rounded to what the weight is.
  private static ActivationType type(QuantScheme scheme, String module) {
    if (scheme instanceof AbsmaxInt8(int blockSize) && blockSize == 0) {
      return ActivationType.INT8;
    }
    if (scheme instanceof Fp8 fp8 && fp8.scaling() == Fp8.Scaling.ROW) {
      return ActivationType.FP8_E4M3;
    }
    throw new ConversionException(
        "layer '%s': 8-bit inputs go with weights of absmax8 or fp8:row, not %s: take --scheme absmax8 or --scheme fp8:row"
            .formatted(Text.printable(module), scheme.id()));
  }
}
