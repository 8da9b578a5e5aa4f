package dev.nibble.formats.calibration;

import java.util.List;
import java.util.Optional;

/// Statistics of the inputs of a model's linear layers.
public interface CalibrationStats {
  /// Every input, in the order in which the model uses them.
  List<InputStatistics> inputs();

  /// The input of a layer.
  ///
  /// @param module path in the names of the library's class, such as `layers.0.attention.to_q`
  Optional<InputStatistics> of(String module);
}
