package dev.nibble.tools;

import dev.nibble.converter.Cancellation;
import dev.nibble.converter.ConversionException;
import dev.nibble.converter.ConversionPlan;
import dev.nibble.converter.ConversionReport;
import dev.nibble.converter.Converter;
import dev.nibble.converter.PipelinePlan;
import dev.nibble.converter.PipelinePlanner;
import dev.nibble.converter.PipelineReport;
import dev.nibble.converter.PipelineRequest;
import dev.nibble.converter.ProgressListener;
import dev.nibble.tools.report.ComponentTable;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// What one `quantize` does: the outputs of one model, or of one pipeline.
sealed interface Quantization {
  /// The plan of each output.
  List<ConversionPlan> plans();

  /// The components of an output, if they are several models.
  Optional<ComponentTable> components(int output);

  /// Writes every output; a report each.
  List<ConversionReport> run(ProgressListener listener, Cancellation cancellation)
      throws IOException;

  /// Plans requests that have one source.
  static Quantization plan(List<PipelineRequest> requests) throws IOException {
    Converter converter = new Converter();
    PipelineRequest first = requests.getFirst();
    if (PipelinePlanner.isPipeline(first.each().source())) {
      List<PipelinePlan> plans = new ArrayList<>();
      for (PipelineRequest request : requests) {
        plans.add(converter.plan(request));
      }
      return new OfPipeline(plans);
    }
    List<ConversionPlan> plans = new ArrayList<>();
    for (PipelineRequest request : requests) {
      if (!request.components().isEmpty() || !request.storages().isEmpty()) {
        throw new ConversionException(
            request.each().source()
                + ": is one model, not a pipeline: --component and --format NAME=F name parts of"
                + " pipelines");
      }
      plans.add(converter.plan(request.each()));
    }
    return new OfModel(plans);
  }

  /// Of one model.
  record OfModel(List<ConversionPlan> plans) implements Quantization {
    @Override
    public Optional<ComponentTable> components(int output) {
      return Optional.empty();
    }

    @Override
    public List<ConversionReport> run(ProgressListener listener, Cancellation cancellation)
        throws IOException {
      return new Converter().run(plans, listener, cancellation);
    }
  }

  /// Of a pipeline's directory.
  record OfPipeline(List<PipelinePlan> pipelines) implements Quantization {
    @Override
    public List<ConversionPlan> plans() {
      return pipelines.stream().map(PipelinePlan::asOne).toList();
    }

    @Override
    public Optional<ComponentTable> components(int output) {
      return Optional.of(new ComponentTable(pipelines.get(output)));
    }

    @Override
    public List<ConversionReport> run(ProgressListener listener, Cancellation cancellation)
        throws IOException {
      return new Converter()
          .runPipelines(pipelines, listener, cancellation).stream()
              .map(PipelineReport::asOne)
              .toList();
    }
  }
}
