package dev.nibble.runtime.cuda;

import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Buffers that are given back together.
final class CudaRegion implements Region {
  private final CudaMemory memory;
  private final Optional<CudaRegion> parent;
  private final List<CudaBuffer> buffers = new ArrayList<>();

  CudaRegion(CudaMemory memory, Optional<CudaRegion> parent) {
    this.memory = memory;
    this.parent = parent;
  }

  Optional<CudaRegion> parent() {
    return parent;
  }

  boolean isOf(CudaMemory other) {
    return memory == other;
  }

  void add(CudaBuffer buffer) {
    buffer.setOwner(this, buffers.size());
    buffers.add(buffer);
  }

  void remove(CudaBuffer buffer) {
    CudaBuffer last = buffers.removeLast();
    if (last != buffer) {
      buffers.set(buffer.index(), last);
      last.setOwner(this, buffer.index());
    }
  }

  @Override
  public Tensor keep(Tensor tensor) {
    CudaBuffer buffer = CudaBuffer.of(tensor);
    if (buffer.owner() == this) {
      remove(buffer);
      parent.orElseThrow().add(buffer);
    }
    return tensor;
  }

  @Override
  public void close() {
    memory.close(this);
  }

  /// Gives all buffers back.
  void end() {
    for (CudaBuffer buffer : buffers) {
      memory.giveBack(buffer);
    }
    buffers.clear();
  }
}
