package dev.nibble.converter;

import java.util.Optional;

/// What calibration has done for a layer.
///
/// @param outputs what became of its outputs; empty where the statistics hold no sample of inputs
/// @param damping of the Hessian, as a part of its diagonal's mean; 0 where GPTQ had no part
public record CalibrationResult(Optional<Outputs> outputs, double damping) {
  /// Norms of the output's error over the norm of the output, for the inputs that the statistics
  /// hold a sample of.
  ///
  /// @param nearest error of the same scheme with every value rounded to nearest
  /// @param calibrated error of the weight as it was written
  public record Outputs(double nearest, double calibrated) {}
}
