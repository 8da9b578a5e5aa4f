package dev.nibble.runtime.cpu;

import dev.nibble.runtime.tensor.Buffer;
import dev.nibble.runtime.tensor.Tensor;

/// Float32 elements in a Java array, which may be longer than any tensor in it.
final class CpuBuffer implements Buffer {
  final float[] array;

  CpuBuffer(float[] array) {
    this.array = array;
  }

  @Override
  public long capacity() {
    return array.length;
  }

  static float[] array(Tensor tensor) {
    return ((CpuBuffer) tensor.buffer()).array;
  }

  static int offset(Tensor tensor) {
    return Math.toIntExact(tensor.offset());
  }
}
