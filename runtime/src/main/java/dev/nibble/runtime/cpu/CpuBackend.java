package dev.nibble.runtime.cpu;

import dev.nibble.runtime.tensor.Backend;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.WeightStore;
import java.util.concurrent.atomic.AtomicLong;

/// Computes on the processor in float32.
public final class CpuBackend implements Backend {
  private final AtomicLong openBytes = new AtomicLong();
  private final WorkerPool pool = new WorkerPool(Runtime.getRuntime().availableProcessors());

  @Override
  public String description() {
    return "CPU, " + Runtime.getRuntime().availableProcessors() + " threads";
  }

  @Override
  public WeightStore newWeights(String owner) {
    return new CpuWeightStore(openBytes);
  }

  @Override
  public Ops newOps(String owner) {
    return new CpuOps(openBytes, pool);
  }

  @Override
  public long openBytes() {
    return openBytes.get();
  }

  @Override
  public void close() {
    pool.close();
  }
}
