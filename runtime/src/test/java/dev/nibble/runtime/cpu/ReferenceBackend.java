package dev.nibble.runtime.cpu;

import dev.nibble.runtime.tensor.AttentionBackend;
import dev.nibble.runtime.tensor.Backend;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.WeightStore;
import java.util.concurrent.atomic.AtomicLong;

/// The backend of {@link ReferenceOps}.
public final class ReferenceBackend implements Backend {
  private final AtomicLong openBytes = new AtomicLong();

  @Override
  public String description() {
    return "plain loops";
  }

  @Override
  public WeightStore newWeights(String owner) {
    return new CpuWeightStore(openBytes);
  }

  @Override
  public Ops newOps(String owner, AttentionBackend attention) {
    return new ReferenceOps(openBytes);
  }

  @Override
  public long openBytes() {
    return openBytes.get();
  }

  @Override
  public long freeBytes() {
    return Runtime.getRuntime().freeMemory();
  }

  @Override
  public void close() {}
}
