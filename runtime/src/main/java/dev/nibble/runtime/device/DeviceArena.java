package dev.nibble.runtime.device;

import java.util.LinkedHashSet;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.SequencedSet;
import java.util.stream.Collectors;

/// Named owner of device buffers, with a limit in bytes. Arenas nest: what an arena holds counts in
/// all arenas around it. Thread-safe.
///
/// Closing an arena that still has buffers or arenas gives their memory back and throws, naming
/// them: a leak is a bug of the owner, found where it happens.
public final class DeviceArena implements AutoCloseable {
  private static final int LISTED = 8;

  private final DeviceMemory memory;
  private final Optional<DeviceArena> parent;
  private final String path;
  private final long limitBytes;
  private final Object lock; // one of a whole tree
  private final SequencedSet<DeviceBuffer> buffers = new LinkedHashSet<>();
  private final SequencedSet<DeviceArena> children = new LinkedHashSet<>();
  private long inUseBytes;
  private long peakBytes;
  private boolean closed;

  private DeviceArena(
      DeviceMemory memory, Optional<DeviceArena> parent, String path, long limitBytes) {
    if (limitBytes < 0) {
      throw new IllegalArgumentException("%s: a limit of %d bytes".formatted(path, limitBytes));
    }
    this.memory = memory;
    this.parent = parent;
    this.path = path;
    this.limitBytes = limitBytes;
    this.lock = parent.<Object>map(p -> p.lock).orElseGet(Object::new);
  }

  /// An arena that stands in no other.
  ///
  /// @param limitBytes most that it may hold; `Long.MAX_VALUE` leaves it to the device
  public static DeviceArena root(DeviceMemory memory, String name, long limitBytes) {
    return new DeviceArena(memory, Optional.empty(), memory.name() + "/" + name, limitBytes);
  }

  /// An arena inside this one.
  public DeviceArena child(String name, long limitBytes) {
    synchronized (lock) {
      requireOpen();
      DeviceArena child = new DeviceArena(memory, Optional.of(this), path + "/" + name, limitBytes);
      children.add(child);
      return child;
    }
  }

  /// An arena inside this one that only the limits around it bound.
  public DeviceArena child(String name) {
    return child(name, Long.MAX_VALUE);
  }

  /// Names of this arena and those around it, device first.
  public String path() {
    return path;
  }

  /// Bytes that it may hold.
  public long limitBytes() {
    return limitBytes;
  }

  /// Bytes of its buffers and of the arenas in it.
  public long inUseBytes() {
    synchronized (lock) {
      return inUseBytes;
    }
  }

  /// Most bytes that were ever in use.
  public long peakBytes() {
    synchronized (lock) {
      return peakBytes;
    }
  }

  /// New memory, its content undefined.
  ///
  /// @param what for messages
  /// @param bytes at least 1
  /// @throws OutOfDeviceMemoryException if a limit or the device does not allow it
  public DeviceBuffer allocate(String what, long bytes) {
    if (bytes < 1) {
      throw new IllegalArgumentException("%s: %d bytes for %s".formatted(path, bytes, what));
    }
    synchronized (lock) {
      requireOpen();
      reserve(what, bytes);
    }
    // Outside the lock: the driver may take long.
    OptionalLong address = OptionalLong.empty();
    try {
      address = memory.allocate(bytes);
    } finally {
      if (address.isEmpty()) {
        unreserve(bytes);
      }
    }
    if (address.isEmpty()) {
      long total = memory.totalBytes();
      throw new OutOfDeviceMemoryException(
          path,
          what,
          bytes,
          total - memory.freeBytes(),
          total,
          "draw smaller or fewer pictures at once, quantize further, or end other programs on "
              + memory.name());
    }
    DeviceBuffer buffer = new DeviceBuffer(this, what, address.getAsLong(), bytes);
    synchronized (lock) {
      if (!closed) {
        buffers.add(buffer);
        return buffer;
      }
    }
    memory.free(address.getAsLong());
    unreserve(bytes);
    throw new IllegalStateException("device arena '%s' was closed".formatted(path));
  }

  private void reserve(String what, long bytes) {
    for (DeviceArena arena = this; ; arena = arena.parent.get()) {
      if (bytes > arena.limitBytes - arena.inUseBytes) {
        throw new OutOfDeviceMemoryException(
            path,
            what,
            bytes,
            arena.inUseBytes,
            arena.limitBytes,
            "raise the memory limit of %s, or run fewer requests at once".formatted(arena.path));
      }
      if (arena.parent.isEmpty()) {
        break;
      }
    }
    for (DeviceArena arena = this; ; arena = arena.parent.get()) {
      arena.inUseBytes += bytes;
      arena.peakBytes = Math.max(arena.peakBytes, arena.inUseBytes);
      if (arena.parent.isEmpty()) {
        break;
      }
    }
  }

  private void unreserve(long bytes) {
    synchronized (lock) {
      for (DeviceArena arena = this; ; arena = arena.parent.get()) {
        arena.inUseBytes -= bytes;
        if (arena.parent.isEmpty()) {
          break;
        }
      }
    }
  }

  void release(DeviceBuffer buffer, long address) {
    memory.free(address);
    unreserve(buffer.byteSize());
    synchronized (lock) {
      buffers.remove(buffer);
    }
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("device arena '%s' was closed".formatted(path));
    }
  }

  /// Ends the arena; a second call does nothing.
  ///
  /// @throws IllegalStateException if buffers or arenas in it are open: lists them
  @Override
  public void close() {
    SequencedSet<DeviceBuffer> leakedBuffers;
    SequencedSet<DeviceArena> leakedArenas;
    synchronized (lock) {
      if (closed) {
        return;
      }
      closed = true;
      leakedBuffers = new LinkedHashSet<>(buffers);
      leakedArenas = new LinkedHashSet<>(children);
    }
    String leaks = describe(leakedBuffers, leakedArenas);
    for (DeviceArena arena : leakedArenas.reversed()) {
      try {
        arena.close();
      } catch (IllegalStateException e) {
        leaks += "; " + e.getMessage();
      }
    }
    leakedBuffers.reversed().forEach(DeviceBuffer::close);
    parent.ifPresent(this::leave);
    if (!leaks.isEmpty()) {
      throw new IllegalStateException("device arena '%s' closed with %s".formatted(path, leaks));
    }
  }

  private void leave(DeviceArena around) {
    synchronized (lock) {
      around.children.remove(this);
    }
  }

  private static String describe(
      SequencedSet<DeviceBuffer> buffers, SequencedSet<DeviceArena> arenas) {
    String listed =
        buffers.stream()
            .limit(LISTED)
            .map(buffer -> "'%s' (%,d bytes)".formatted(buffer.name(), buffer.byteSize()))
            .collect(Collectors.joining(", "));
    String more = buffers.size() > LISTED ? ", ..." : "";
    String open = buffers.isEmpty() ? "" : "%d open buffers: ".formatted(buffers.size());
    String nested =
        arenas.isEmpty()
            ? ""
            : "%s%d open arenas: %s"
                .formatted(
                    buffers.isEmpty() ? "" : "; ",
                    arenas.size(),
                    arenas.stream().map(DeviceArena::path).collect(Collectors.joining(", ")));
    return open + listed + more + nested;
  }
}
