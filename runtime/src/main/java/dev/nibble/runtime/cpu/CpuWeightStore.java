package dev.nibble.runtime.cpu;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.runtime.tensor.LinearWeight;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.tensor.WeightSource;
import dev.nibble.runtime.tensor.WeightStore;
import java.util.concurrent.atomic.AtomicLong;

final class CpuWeightStore implements WeightStore {
  private final AtomicLong openBytes;
  private long parameterBytes;
  private long matrixBytes;

  CpuWeightStore(AtomicLong openBytes) {
    this.openBytes = openBytes;
  }

  @Override
  public Tensor tensor(float[] values, long... dims) {
    long bytes = 4L * values.length;
    parameterBytes += bytes;
    openBytes.addAndGet(bytes);
    return new Tensor(DType.F32, Shape.of(dims), new CpuBuffer(values.clone()), 0);
  }

  @Override
  public LinearWeight linear(String name, WeightSource source) {
    CpuLinearWeight weight = new CpuLinearWeight(source);
    matrixBytes += weight.byteSize();
    return weight;
  }

  @Override
  public long byteSize() {
    return parameterBytes + matrixBytes;
  }

  @Override
  public void close() {
    openBytes.addAndGet(-parameterBytes);
    parameterBytes = 0;
    matrixBytes = 0;
  }
}
