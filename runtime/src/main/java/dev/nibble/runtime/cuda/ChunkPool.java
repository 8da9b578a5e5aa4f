package dev.nibble.runtime.cuda;

import dev.nibble.runtime.device.DeviceArena;
import dev.nibble.runtime.device.DeviceBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;

/// Device memory of sessions between two uses: asking the driver costs more than most operations,
/// and giving back waits for the whole device. Sizes are rounded up to four classes an octave, so a
/// chunk is at most a quarter larger than asked. What a session has used goes to the next one; when
/// none is open, all goes back to the device. Safe for many threads.
final class ChunkPool {
  private static final int SMALLEST_OCTAVE = 9;

  private final DeviceArena arena;
  private final Idle idle = new Idle();
  private int sessions;

  ChunkPool(DeviceArena arena) {
    this.arena = arena;
  }

  /// Idle chunks by class of size. For one thread.
  static final class Idle {
    private final List<ArrayDeque<DeviceBuffer>> classes = new ArrayList<>();

    void add(DeviceBuffer chunk) {
      of(chunk.byteSize()).addLast(chunk);
    }

    /// A chunk of exactly this class, or null.
    DeviceBuffer poll(long capacity) {
      return of(capacity).pollLast();
    }

    List<DeviceBuffer> drain() {
      List<DeviceBuffer> all = new ArrayList<>();
      classes.forEach(all::addAll);
      classes.clear();
      return all;
    }

    private ArrayDeque<DeviceBuffer> of(long capacity) {
      int octave = 63 - Long.numberOfLeadingZeros(capacity);
      int index = 4 * (octave - SMALLEST_OCTAVE) + (int) ((capacity >>> (octave - 2)) & 3);
      while (classes.size() <= index) {
        classes.add(new ArrayDeque<>(0));
      }
      return classes.get(index);
    }
  }

  /// The size of a chunk for that many bytes.
  static long capacity(long bytes) {
    if (bytes <= 1L << SMALLEST_OCTAVE) {
      return 1L << SMALLEST_OCTAVE;
    }
    long step = Long.highestOneBit(bytes - 1) / 4;
    return Math.ceilDiv(bytes, step) * step;
  }

  /// A session begins.
  synchronized void enter() {
    sessions++;
  }

  /// A chunk, idle or new.
  ///
  /// @param what for messages
  /// @param capacity as {@link #capacity} rounds it
  DeviceBuffer take(String what, long capacity) {
    synchronized (this) {
      DeviceBuffer chunk = idle.poll(capacity);
      if (chunk != null) {
        return chunk;
      }
    }
    return arena.allocate(what, capacity);
  }

  /// A session ends.
  ///
  /// @param chunks all that it had; the device has done with them
  synchronized void leave(List<DeviceBuffer> chunks) {
    chunks.forEach(idle::add);
    sessions--;
    if (sessions == 0) {
      drop();
    }
  }

  /// Gives all idle memory back to the device.
  synchronized void drop() {
    idle.drain().forEach(DeviceBuffer::close);
  }
}
