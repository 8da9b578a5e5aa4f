package dev.nibble.runtime.cpu;

import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Buffers that are given back together.
final class CpuRegion implements Region {
  private final SessionMemory memory;
  private final Optional<CpuRegion> parent;
  private final List<CpuBuffer> buffers = new ArrayList<>();

  CpuRegion(SessionMemory memory, Optional<CpuRegion> parent) {
    this.memory = memory;
    this.parent = parent;
  }

  Optional<CpuRegion> parent() {
    return parent;
  }

  boolean isOf(SessionMemory other) {
    return memory == other;
  }

  void add(CpuBuffer buffer) {
    buffer.setOwner(this, buffers.size());
    buffers.add(buffer);
  }

  void remove(CpuBuffer buffer) {
    CpuBuffer last = buffers.removeLast();
    if (last != buffer) {
      buffers.set(buffer.index(), last);
      last.setOwner(this, buffer.index());
    }
  }

  @Override
  public Tensor keep(Tensor tensor) {
    CpuBuffer buffer = CpuBuffer.of(tensor);
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
    for (CpuBuffer buffer : buffers) {
      memory.giveBack(buffer);
    }
    buffers.clear();
  }
}
