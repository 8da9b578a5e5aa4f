package dev.nibble.converter;

import dev.nibble.formats.quant.QuantError;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/// What a conversion did.
///
/// @param plan what was to be done
/// @param tensors results in the order of {@link ConversionPlan#tensors()}
/// @param outputs every file written
/// @param bytesRead bytes of tensor data read
/// @param bytesWritten bytes of all files written
/// @param nanos wall time
public record ConversionReport(
    ConversionPlan plan,
    List<TensorResult> tensors,
    List<Path> outputs,
    long bytesRead,
    long bytesWritten,
    long nanos) {

  /// What became of one tensor.
  ///
  /// @param bytesOut exact bytes in the output
  /// @param error of a quantized tensor
  /// @param calibration what became of the output of a calibrated layer
  public record TensorResult(
      TensorPlan plan,
      long bytesOut,
      Optional<QuantError> error,
      Optional<CalibrationResult> calibration) {
    /// Of a tensor that is not calibrated.
    public TensorResult(TensorPlan plan, long bytesOut, Optional<QuantError> error) {
      this(plan, bytesOut, error, Optional.empty());
    }
  }

  public ConversionReport {
    tensors = List.copyOf(tensors);
    outputs = List.copyOf(outputs);
  }
}
