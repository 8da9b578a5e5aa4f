package dev.nibble.runtime.cpu;

import dev.nibble.runtime.tensor.Buffer;
import dev.nibble.runtime.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// Float32 elements in a Java array, which may be longer than any tensor in it.
final class CpuBuffer implements Buffer {
  private final int capacity;

  /// Null once given back.
  private float @Nullable [] array;

  /// The region that gives it back, null if none does: a parameter of a weight store.
  private @Nullable CpuRegion owner;

  /// Where the owner keeps it.
  private int index;

  CpuBuffer(float[] array) {
    this.array = array;
    this.capacity = array.length;
  }

  @Override
  public long capacity() {
    return capacity;
  }

  long byteSize() {
    return 4L * capacity;
  }

  @Nullable CpuRegion owner() {
    return owner;
  }

  int index() {
    return index;
  }

  void setOwner(@Nullable CpuRegion newOwner, int newIndex) {
    owner = newOwner;
    index = newIndex;
  }

  /// Takes the array out: tensors on this buffer are dead.
  float[] end() {
    float[] last = live();
    array = null;
    owner = null;
    return last;
  }

  private float[] live() {
    if (array == null) {
      throw new IllegalStateException(
          "a tensor was used after its region or session closed or it was released; Region.keep or"
              + " Ops.persist lets it live longer");
    }
    return array;
  }

  /// The array that a tensor lies in, from {@link #offset} on.
  static float[] array(Tensor tensor) {
    return of(tensor).live();
  }

  /// Whether two tensors lie in one buffer.
  @SuppressWarnings("ReferenceEquality") // buffers are places, not values
  static boolean isSame(Tensor a, Tensor b) {
    return a.buffer() == b.buffer();
  }

  static int offset(Tensor tensor) {
    return Math.toIntExact(tensor.offset());
  }

  static CpuBuffer of(Tensor tensor) {
    if (tensor.buffer() instanceof CpuBuffer buffer) {
      return buffer;
    }
    throw new IllegalArgumentException(
        "a tensor of another backend's memory, %s, in an operation of the CPU"
            .formatted(tensor.shape()));
  }
}
