package dev.nibble.converter.internal;

import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.safetensors.SafetensorsWriter;
import java.io.IOException;
import java.lang.foreign.MemorySegment;

/// Copies a tensor as it is, from the mapped source straight to the file.
final class CopyJob implements Job {
  private final Checkpoint source;
  private final TensorInfo info;
  private final SafetensorsWriter target;
  private final long sliceBytes;

  CopyJob(Checkpoint source, TensorInfo info, SafetensorsWriter target, long sliceBytes) {
    this.source = source;
    this.info = info;
    this.target = target;
    this.sliceBytes = sliceBytes;
  }

  @Override
  public String tensor() {
    return info.name();
  }

  @Override
  public long units() {
    return info.byteSize();
  }

  @Override
  public long unitsPerSlice() {
    return sliceBytes;
  }

  @Override
  public long bufferBytes() {
    return 0;
  }

  @Override
  public long sourceBytes(long units) {
    return units;
  }

  @Override
  public void run(long begin, long count, MemorySegment buffer) throws IOException {
    target.write(info.name(), begin, source.data(info).asSlice(begin, count));
  }
}
