package dev.nibble.tools.report;

import dev.nibble.converter.CalibrationResult;
import dev.nibble.converter.CalibrationResult.Outputs;
import dev.nibble.converter.ConversionReport;
import dev.nibble.converter.ConversionReport.TensorResult;
import dev.nibble.converter.algorithm.GptqOptions;
import dev.nibble.formats.Text;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// What calibration did for the layers of a conversion.
///
/// @param layers that were calibrated, in the order of the model
/// @param wished damping that was asked for; 0 without GPTQ
record CalibrationTotals(List<TensorResult> layers, double wished) {
  private static final int NAMED = 3;

  /// Empty if no layer was calibrated.
  static Optional<CalibrationTotals> of(ConversionReport report) {
    List<TensorResult> layers =
        report.tensors().stream().filter(result -> result.calibration().isPresent()).toList();
    double wished =
        report
            .plan()
            .request()
            .calibration()
            .flatMap(calibration -> calibration.gptq().map(GptqOptions::damping))
            .orElse(0.0);
    return layers.isEmpty() ? Optional.empty() : Optional.of(new CalibrationTotals(layers, wished));
  }

  private List<Outputs> outputs() {
    return layers.stream()
        .flatMap(layer -> layer.calibration().flatMap(CalibrationResult::outputs).stream())
        .toList();
  }

  /// Mean relative error of the outputs, rounded to nearest and as written, in one line; empty if
  /// the statistics hold no samples to measure it on.
  Optional<String> errors() {
    List<Outputs> outputs = outputs();
    if (outputs.isEmpty()) {
      return Optional.empty();
    }
    double nearest = outputs.stream().mapToDouble(Outputs::nearest).average().orElseThrow();
    double calibrated = outputs.stream().mapToDouble(Outputs::calibrated).average().orElseThrow();
    long worse = outputs.stream().filter(one -> one.calibrated() > one.nearest()).count();
    return Optional.of(
        Html.format(
            "%.2f %% in the mean of %d layers, %.2f %% rounded to nearest%s",
            100 * calibrated,
            outputs.size(),
            100 * nearest,
            worse == 0 ? "" : Html.format(" (worse in %d)", worse)));
  }

  /// Which Hessians took more damping than was asked for.
  Optional<String> damping() {
    List<String> raised = new ArrayList<>();
    for (TensorResult layer : layers) {
      double damping = layer.calibration().orElseThrow().damping();
      if (damping > wished * 1.001) {
        raised.add(Html.format("%s (%s)", Text.printable(layer.plan().source().name()), damping));
      }
    }
    if (raised.isEmpty()) {
      return Optional.empty();
    }
    String more = raised.size() > NAMED ? " and %d more".formatted(raised.size() - NAMED) : "";
    return Optional.of(
        "damping raised, for the Hessian was not positive definite: "
            + String.join(", ", raised.subList(0, Math.min(NAMED, raised.size())))
            + more
            + "; more prompts for nibble calibrate may spare that");
  }
}
