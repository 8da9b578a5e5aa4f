package dev.nibble.runtime.cuda;

import dev.nibble.runtime.tensor.AttentionBackend;
import dev.nibble.runtime.tensor.Backend;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.WeightStore;

/// A backend that outlives a test: opening a GPU takes a tenth of a second.
record SharedBackend(Backend backend) implements Backend {
  @Override
  public String description() {
    return backend.description();
  }

  @Override
  public WeightStore newWeights(String owner) {
    return backend.newWeights(owner);
  }

  @Override
  public Ops newOps(String owner, AttentionBackend attention) {
    return backend.newOps(owner, attention);
  }

  @Override
  public long openBytes() {
    return backend.openBytes();
  }

  @Override
  public long freeBytes() {
    return backend.freeBytes();
  }

  @Override
  public void close() {}
}
