package dev.nibble.converter;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

/// What the conversion of a pipeline did.
///
/// @param plan what was to be done
/// @param components reports of the components that were quantized, by name
/// @param outputs every file written
/// @param bytesWritten bytes of all of them
/// @param nanos wall time of all
public record PipelineReport(
    PipelinePlan plan,
    SequencedMap<String, ConversionReport> components,
    List<Path> outputs,
    long bytesWritten,
    long nanos) {
  public PipelineReport {
    components = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(components));
    outputs = List.copyOf(outputs);
  }

  /// The same as the report of one model: see {@link PipelinePlan#asOne}.
  public ConversionReport asOne() {
    List<ConversionReport.TensorResult> tensors = new ArrayList<>();
    components.forEach((name, report) -> {
      for (ConversionReport.TensorResult result : report.tensors()) {
        tensors.add(
            new ConversionReport.TensorResult(
                PipelinePlan.named(name, result.plan()),
                result.bytesOut(),
                result.error(),
                result.calibration()));
      }
    });
    return new ConversionReport(
        plan.asOne(), tensors, outputs, plan.bytesIn(), bytesWritten, nanos);
  }
}
