package dev.nibble.converter.internal;

import dev.nibble.converter.ConversionException;
import dev.nibble.converter.MemoryBudget;
import dev.nibble.converter.TensorPlan;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.Text;
import dev.nibble.formats.safetensors.SafetensorsWriter;

/// Makes the job of each planned tensor.
final class Jobs {
  private final Checkpoint source;
  private final MemoryBudget budget;
  private final QuantizeJob.Context context;

  Jobs(Checkpoint source, MemoryBudget budget, QuantizeJob.Context context) {
    this.source = source;
    this.budget = budget;
    this.context = context;
  }

  Job job(TensorPlan plan, SafetensorsWriter target) {
    return switch (plan) {
      case TensorPlan.Keep keep -> new CopyJob(source, keep.source(), target, budget.sliceBytes());
      case TensorPlan.Cast cast -> new CastJob(source, cast, target, budget.sliceBytes());
      case TensorPlan.Quantize quantize -> quantize(quantize, target);
    };
  }

  private QuantizeJob quantize(TensorPlan.Quantize plan, SafetensorsWriter target) {
    TensorInfo info = plan.source();
    QuantizeJob job =
        new QuantizeJob(
            source,
            plan,
            target,
            context,
            QuantizeJob.unitsPerSlice(
                plan.quantScheme(),
                plan.storage().layout(plan.quantScheme()),
                info.shape(),
                info.dtype(),
                budget.sliceBytes()));
    if (job.bufferBytes() > budget.largestSliceBytes()) {
      throw new ConversionException(
          "tensor '%s' has rows of %,d bytes, too long for %s within the memory bound: raise --memory, or take a scheme with blocks"
              .formatted(Text.printable(info.name()), job.bufferBytes(), plan.quantScheme().id()));
    }
    return job;
  }
}
