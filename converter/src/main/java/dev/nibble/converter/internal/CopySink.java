package dev.nibble.converter.internal;

import dev.nibble.converter.SourceTensor;
import dev.nibble.formats.CheckpointWriter;
import java.io.IOException;
import java.lang.foreign.MemorySegment;

/// Copies a tensor as it is; bytes of a mapped source go straight to the file.
final class CopySink implements Sink {
  /// A slice of elements smaller than a byte begins at a byte.
  private static final long ALIGNMENT = 8;

  private final SourceTensor tensor;
  private final CheckpointWriter target;

  CopySink(SourceTensor tensor, CheckpointWriter target) {
    this.tensor = tensor;
    this.target = target;
  }

  @Override
  public long alignment() {
    return ALIGNMENT;
  }

  @Override
  public long bufferBytes(long elements) {
    return 0;
  }

  @Override
  public void accept(long begin, long count, MemorySegment source, MemorySegment buffer)
      throws IOException {
    target.write(tensor.name(), tensor.dtype().byteSize(begin), source);
  }
}
