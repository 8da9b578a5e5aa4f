package dev.nibble.tools.report;

import java.util.List;

/// How far the outputs of a converted model's linear layers are from the dense ones, on the inputs
/// that calibration recorded.
///
/// @param layers in the order of the model
public record LayerErrors(List<Layer> layers) {
  public LayerErrors {
    layers = List.copyOf(layers);
  }

  /// One layer.
  ///
  /// @param name of its weight
  /// @param error `|(W - W')X|² / |WX|²` for the converted weight W'
  /// @param roundToNearest the same for W rounded to the nearest values of the same scheme
  public record Layer(String name, double error, double roundToNearest) {
    /// The error as a share of that of rounding; not finite if rounding has none.
    double ratio() {
      return error / roundToNearest;
    }
  }

  /// Geometric mean of the layers' ratios to rounding, over those that have one; NaN if none has.
  double meanRatio() {
    return Math.exp(
        layers.stream()
            .mapToDouble(layer -> Math.log(layer.ratio()))
            .filter(Double::isFinite)
            .average()
            .orElse(Double.NaN));
  }

  /// One line.
  String summary() {
    long worse = layers.stream().filter(layer -> layer.error() > layer.roundToNearest()).count();
    return Html.format(
        "output error of %d layers is %.2f times that of rounding to nearest (geometric mean; worse"
            + " in %d)",
        layers.size(), meanRatio(), worse);
  }
}
