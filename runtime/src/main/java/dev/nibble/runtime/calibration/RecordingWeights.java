package dev.nibble.runtime.calibration;

import dev.nibble.runtime.tensor.LinearWeight;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.tensor.WeightSource;
import dev.nibble.runtime.tensor.WeightStore;

/// The weights of the component whose layers are recorded.
record RecordingWeights(WeightStore store) implements WeightStore {
  @Override
  public Tensor tensor(float[] values, long... dims) {
    return store.tensor(values, dims);
  }

  @Override
  public LinearWeight linear(String name, WeightSource source) {
    return NamedWeight.of(name, store.linear(name, source));
  }

  @Override
  public long byteSize() {
    return store.byteSize();
  }

  @Override
  public String remarks() {
    return store.remarks();
  }

  @Override
  public void close() {
    store.close();
  }
}
