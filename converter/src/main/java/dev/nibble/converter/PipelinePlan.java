package dev.nibble.converter;

import dev.nibble.formats.CheckpointFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/// Everything that the conversion of a pipeline will do. Holds no file open.
///
/// @param request what was asked
/// @param components plans of the components that are quantized, by name
/// @param kept components that are copied though they hold weights, by name, with their bytes
/// @param copied files to copy, by their path in the target
/// @param copiedBytes bytes of all of them
/// @param target the directory to write, absolute
/// @param matches how many modules of all components each pattern matched
/// @param notes lines that the user should read
public record PipelinePlan(
    PipelineRequest request,
    SequencedMap<String, ConversionPlan> components,
    SequencedMap<String, Long> kept,
    SequencedMap<String, Path> copied,
    long copiedBytes,
    Path target,
    Map<String, Integer> matches,
    List<String> notes) {
  public PipelinePlan {
    components = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(components));
    kept = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(kept));
    copied = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(copied));
    notes = List.copyOf(notes);
  }

  /// Bytes of all tensors that are read and files that are copied.
  public long bytesIn() {
    return components.values().stream().mapToLong(ConversionPlan::bytesIn).sum() + copiedBytes;
  }

  /// Bytes of all tensors in the output and files that are copied.
  public long bytesOut() {
    return components.values().stream().mapToLong(ConversionPlan::bytesOut).sum() + copiedBytes;
  }

  /// The same as the plan of one model, for reports: the tensors of all components, named
  /// `transformer/layers.0...`. What it says of files is of the pipeline.
  public ConversionPlan asOne() {
    List<CheckpointFile> sources = new ArrayList<>();
    List<TensorPlan> tensors = new ArrayList<>();
    components.forEach((name, plan) -> {
      sources.addAll(plan.sources());
      plan.tensors().forEach(tensor -> tensors.add(named(name, tensor)));
    });
    return new ConversionPlan(
        request.each(),
        sources,
        "pipeline",
        tensors,
        target,
        true,
        "",
        java.util.Optional.empty(),
        copied,
        java.util.Optional.empty(),
        matches,
        notes);
  }

  /// A tensor of a component under its name in reports.
  static TensorPlan named(String component, TensorPlan plan) {
    SourceTensor source = plan.source().named(component + "/" + plan.source().name());
    return switch (plan) {
      case TensorPlan.Keep keep -> new TensorPlan.Keep(source, keep.reason());
      case TensorPlan.Cast cast -> new TensorPlan.Cast(source, cast.target(), cast.reason());
      case TensorPlan.Rescale scaled ->
          new TensorPlan.Rescale(source, scaled.target(), scaled.reason());
      case TensorPlan.Quantize weight ->
          new TensorPlan.Quantize(
              source,
              weight.quantScheme(),
              weight.storage(),
              weight.stored(),
              weight.reason(),
              weight.calibrated());
    };
  }
}
