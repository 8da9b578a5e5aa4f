package dev.nibble.converter.internal;

import dev.nibble.converter.TensorPlan;
import dev.nibble.formats.CheckpointWriter;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.internal.simd.FloatWriter;
import dev.nibble.formats.model.TensorEdit;
import java.io.IOException;
import java.lang.foreign.MemorySegment;

/// Multiplies rows of a tensor that stays float, and rounds once.
final class RescaleSink implements Sink {
  private static final int CHUNK = 4096;

  private final TensorPlan.Rescale plan;
  private final CheckpointWriter target;
  private final TensorEdit edit;
  private final long rowLength;

  RescaleSink(TensorPlan.Rescale plan, CheckpointWriter target, TensorEdit edit) {
    this.plan = plan;
    this.target = target;
    this.edit = edit;
    Shape shape = plan.source().shape();
    this.rowLength = shape.rank() < 2 ? 1 : shape.elements() / shape.dim(0);
  }

  @Override
  public long alignment() {
    return 1;
  }

  @Override
  public long bufferBytes(long elements) {
    return plan.target().byteSize(elements);
  }

  @Override
  public void accept(long begin, long count, MemorySegment source, MemorySegment buffer)
      throws IOException {
    FloatReader reader = FloatReader.of(plan.source().dtype());
    FloatWriter writer = FloatWriter.of(plan.target());
    float[] chunk = new float[CHUNK];
    for (long done = 0; done < count; done += CHUNK) {
      int length = (int) Math.min(CHUNK, count - done);
      reader.read(source, done, chunk, length);
      edit.apply(begin + done, length, rowLength, chunk, 0);
      writer.write(chunk, length, buffer, done);
    }
    MemorySegment bytes = buffer.asSlice(0, plan.target().byteSize(count));
    target.write(plan.source().name(), plan.target().byteSize(begin), bytes);
  }
}
