package dev.nibble.runtime.cuda;

import dev.nibble.formats.DType;
import dev.nibble.runtime.device.DeviceBuffer;
import dev.nibble.runtime.tensor.Buffer;
import dev.nibble.runtime.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// Elements in device memory, which may be longer than any tensor in it.
final class CudaBuffer implements Buffer {
  private final long capacity;

  /// Null once given back.
  private @Nullable DeviceBuffer memory;

  /// The region that gives it back, null if none does: a parameter of a weight store.
  private @Nullable CudaRegion owner;

  /// Where the owner keeps it.
  private int index;

  CudaBuffer(DeviceBuffer memory, DType dtype) {
    this.memory = memory;
    this.capacity = memory.byteSize() / dtype.byteSize(1);
  }

  @Override
  public long capacity() {
    return capacity;
  }

  @Nullable CudaRegion owner() {
    return owner;
  }

  int index() {
    return index;
  }

  void setOwner(@Nullable CudaRegion newOwner, int newIndex) {
    owner = newOwner;
    index = newIndex;
  }

  /// Takes the memory out: tensors on this buffer are dead.
  DeviceBuffer end() {
    DeviceBuffer last = live();
    memory = null;
    owner = null;
    return last;
  }

  private DeviceBuffer live() {
    if (memory == null) {
      throw new IllegalStateException(
          "a tensor was used after its region or session closed or it was released; Region.keep or"
              + " Ops.persist lets it live longer");
    }
    return memory;
  }

  /// Device address of a tensor's first element.
  static long address(Tensor tensor) {
    return of(tensor).live().address() + tensor.dtype().byteSize(tensor.offset());
  }

  static CudaBuffer of(Tensor tensor) {
    if (tensor.buffer() instanceof CudaBuffer buffer) {
      return buffer;
    }
    throw new IllegalArgumentException(
        "a tensor of another backend's memory, %s, in an operation of a GPU"
            .formatted(tensor.shape()));
  }
}
