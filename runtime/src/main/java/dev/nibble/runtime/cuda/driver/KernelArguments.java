package dev.nibble.runtime.cuda.driver;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/// The arguments of a launch, in memory that is allocated once and written again for each launch:
/// the driver copies them before `launch` returns. One thread at a time.
///
/// ```java
/// stream.launch(kernel, shape, arguments.clear().address(x).address(y).i32(rows).f32(eps));
/// ```
public final class KernelArguments {
  /// Most arguments of a kernel.
  public static final int CAPACITY = 48;

  // A slot holds any scalar, or a struct up to a tensor map of TMA, which wants 64-byte alignment.
  private static final int SLOT = 128;

  private final MemorySegment pointers; // [CAPACITY] addresses of the slots
  private final MemorySegment slots; // [CAPACITY, SLOT] bytes
  private final int[] sizes = new int[CAPACITY];
  private int count;

  /// @param arena owns the memory
  public KernelArguments(Arena arena) {
    pointers = arena.allocate(ValueLayout.ADDRESS, CAPACITY);
    slots = arena.allocate((long) CAPACITY * SLOT, 64);
    for (int i = 0; i < CAPACITY; i++) {
      pointers.setAtIndex(ValueLayout.ADDRESS, i, slots.asSlice((long) i * SLOT, SLOT));
    }
  }

  /// Begins anew.
  public KernelArguments clear() {
    count = 0;
    return this;
  }

  /// A pointer to device memory; 0 is a null pointer.
  public KernelArguments address(long deviceAddress) {
    return i64(deviceAddress);
  }

  /// An `int64_t`, `size_t` or `long long`.
  public KernelArguments i64(long value) {
    slots.set(ValueLayout.JAVA_LONG, next(Long.BYTES), value);
    return this;
  }

  /// An `int` or `uint32_t`.
  public KernelArguments i32(int value) {
    slots.set(ValueLayout.JAVA_INT, next(Integer.BYTES), value);
    return this;
  }

  /// A `float`.
  public KernelArguments f32(float value) {
    slots.set(ValueLayout.JAVA_FLOAT, next(Float.BYTES), value);
    return this;
  }

  /// A struct by value.
  ///
  /// @param bytes copied; at most 128
  public KernelArguments struct(MemorySegment bytes) {
    int size = Math.toIntExact(bytes.byteSize());
    if (size > SLOT) {
      throw new IllegalArgumentException(
          "a kernel argument of %d bytes; at most %d".formatted(size, SLOT));
    }
    MemorySegment.copy(bytes, 0, slots, next(size), size);
    return this;
  }

  private long next(int size) {
    if (count == CAPACITY) {
      throw new IllegalArgumentException("more than %d kernel arguments".formatted(CAPACITY));
    }
    sizes[count] = size;
    return (long) SLOT * count++;
  }

  /// Arguments so far.
  public int count() {
    return count;
  }

  /// Addresses of the values, as `cuLaunchKernel` takes them.
  MemorySegment pointers() {
    return pointers;
  }

  /// Where the values lie.
  MemorySegment slots() {
    return slots;
  }

  /// Whether the arguments have the sizes of a kernel's parameters.
  boolean fits(int[] parameterSizes) {
    return count == parameterSizes.length
        && Arrays.equals(sizes, 0, count, parameterSizes, 0, count);
  }

  /// The sizes of the arguments, for messages.
  String describe() {
    return Arrays.toString(Arrays.copyOf(sizes, count));
  }
}
