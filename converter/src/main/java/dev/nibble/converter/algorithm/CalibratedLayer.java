package dev.nibble.converter.algorithm;

import dev.nibble.formats.calibration.InputStatistics;
import dev.nibble.formats.quant.QuantScheme;

/// A linear layer that will be quantized, and what its input was like.
///
/// @param module path, such as `layers.0.attention.to_q`
/// @param weight `[out, in]`
/// @param scheme what the weight becomes
/// @param input of `in` features
public record CalibratedLayer(
    String module, WeightRows weight, QuantScheme scheme, InputStatistics input) {
  public CalibratedLayer {
    if (weight.columns() != input.features()) {
      throw new IllegalArgumentException(
          "statistics of '%s' are of %d features, the weight of '%s' takes %d"
              .formatted(input.name(), input.features(), module, weight.columns()));
    }
  }
}
