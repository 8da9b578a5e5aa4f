package dev.nibble.converter.internal;

import dev.nibble.converter.TensorPlan;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.internal.simd.FloatWriter;
import dev.nibble.formats.safetensors.SafetensorsWriter;
import java.io.IOException;
import java.lang.foreign.MemorySegment;

/// Rounds a tensor to another float type.
final class CastJob implements Job {
  private static final int CHUNK = 4096;

  private final Checkpoint source;
  private final TensorPlan.Cast plan;
  private final SafetensorsWriter target;
  private final long elementsPerSlice;

  CastJob(Checkpoint source, TensorPlan.Cast plan, SafetensorsWriter target, long sliceBytes) {
    this.source = source;
    this.plan = plan;
    this.target = target;
    this.elementsPerSlice = Math.max(1, sliceBytes * 8 / plan.source().dtype().bits());
  }

  @Override
  public String tensor() {
    return plan.source().name();
  }

  @Override
  public long units() {
    return plan.source().shape().elements();
  }

  @Override
  public long unitsPerSlice() {
    return elementsPerSlice;
  }

  @Override
  public long bufferBytes() {
    return plan.target().byteSize(Math.min(elementsPerSlice, units()));
  }

  @Override
  public long sourceBytes(long units) {
    return plan.source().dtype().byteSize(units);
  }

  @Override
  public void run(long begin, long count, MemorySegment buffer) throws IOException {
    TensorInfo info = plan.source();
    FloatReader reader = FloatReader.of(info.dtype());
    FloatWriter writer = FloatWriter.of(plan.target());
    MemorySegment data = source.data(info);
    float[] chunk = new float[CHUNK];
    for (long done = 0; done < count; done += CHUNK) {
      int length = (int) Math.min(CHUNK, count - done);
      reader.read(data, begin + done, chunk, length);
      writer.write(chunk, length, buffer, done);
    }
    MemorySegment bytes = buffer.asSlice(0, plan.target().byteSize(count));
    target.write(info.name(), plan.target().byteSize(begin), bytes);
  }
}
