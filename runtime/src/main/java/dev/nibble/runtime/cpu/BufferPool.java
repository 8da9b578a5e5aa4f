package dev.nibble.runtime.cpu;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;

/// Arrays between two uses. Java zeroes each new array, and fresh memory misses every cache: for
/// operations of microseconds both cost more than the operation. Sizes are rounded up to four
/// classes an octave, so an array is at most a quarter larger than asked. Safe for many threads.
final class BufferPool {
  /// Idle arrays beyond this many bytes go to the garbage collector.
  private static final long MOST_IDLE_BYTES = 256L << 20;

  private static final int SMALLEST = 64;

  private final List<ArrayDeque<float[]>> classes = new ArrayList<>();
  private long idleBytes;

  /// An array of at least `size` elements, with leftovers in it.
  float[] take(int size) {
    int capacity = capacity(size);
    synchronized (this) {
      float[] array = idle(capacity).pollLast();
      if (array != null) {
        idleBytes -= 4L * capacity;
        return array;
      }
    }
    return new float[capacity];
  }

  /// Takes back an array that {@link #take} gave.
  synchronized void give(float[] array) {
    if (array.length > 0 && idleBytes + 4L * array.length <= MOST_IDLE_BYTES) {
      idleBytes += 4L * array.length;
      idle(array.length).addLast(array);
    }
  }

  /// Forgets all idle arrays.
  synchronized void drop() {
    classes.clear();
    idleBytes = 0;
  }

  private ArrayDeque<float[]> idle(int capacity) {
    int octave = 31 - Integer.numberOfLeadingZeros(capacity);
    int index = 4 * octave + ((capacity >>> (octave - 2)) & 3);
    while (classes.size() <= index) {
      classes.add(new ArrayDeque<>(0));
    }
    return classes.get(index);
  }

  /// The size of an array for `size` elements.
  static int capacity(int size) {
    if (size <= SMALLEST) {
      return SMALLEST;
    }
    int step = Integer.highestOneBit(size - 1) / 4;
    long capacity = (long) Math.ceilDiv(size, step) * step;
    return capacity > Integer.MAX_VALUE - 8 ? size : (int) capacity;
  }
}
