package dev.nibble.tools.report;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.io.JsonFile;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// How far the outputs of a converted model's linear layers are from the dense ones, on the inputs
/// that calibration recorded.
///
/// @param layers in the order of the model
public record LayerErrors(List<Layer> layers) {
  public LayerErrors {
    layers = List.copyOf(layers);
  }

  /// Keys of a tensor in what `quantize --json` prints.
  private static final String ERROR = "output_error";

  private static final String ROUND_TO_NEAREST = "output_error_rtn";

  /// Reads what `quantize --json` printed: the tensors that have both errors.
  ///
  /// @throws NibbleException if none has them
  /// @throws IOException if the file can't be read; the message names it
  public static LayerErrors read(Path report) throws IOException {
    List<Layer> layers = new ArrayList<>();
    for (JsonNode tensor : JsonFile.object(report).path("tensors")) {
      JsonNode error = tensor.path(ERROR);
      JsonNode rounded = tensor.path(ROUND_TO_NEAREST);
      if (error.isNumber() && rounded.isNumber()) {
        layers.add(
            new Layer(tensor.path("name").asText(), error.doubleValue(), rounded.doubleValue()));
      }
    }
    if (layers.isEmpty()) {
      throw new NibbleException(
          report
              + ": holds no output errors: give what quantize --json printed of a conversion with"
              + " --stats");
    }
    return new LayerErrors(layers);
  }

  /// One layer.
  ///
  /// @param name of its weight
  /// @param error `|(W - W')X| / |WX|` for the converted weight W'
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
