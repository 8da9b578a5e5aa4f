package dev.nibble.runtime.calibration;

import dev.nibble.runtime.tensor.AttentionBackend;
import dev.nibble.runtime.tensor.Backend;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.WeightStore;

/// A backend that shows a listener the inputs of one component's layers.
record RecordingBackend(Backend backend, String component, InputListener listener)
    implements Backend {
  @Override
  public String description() {
    return backend.description();
  }

  @Override
  public WeightStore newWeights(String owner) {
    WeightStore store = backend.newWeights(owner);
    return owner.equals(component) ? new RecordingWeights(store) : store;
  }

  @Override
  public Ops newOps(String owner, AttentionBackend attention) {
    return new RecordingOps(backend.newOps(owner, attention), listener);
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
  public void close() {
    listener.close();
    backend.close();
  }
}
