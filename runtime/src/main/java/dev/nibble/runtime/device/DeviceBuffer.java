package dev.nibble.runtime.device;

/// Bytes of device memory. Owned by the {@link DeviceArena} that made it; closing gives it back.
/// Nothing on the device may use it then: whoever closes has waited for its stream.
public final class DeviceBuffer implements AutoCloseable {
  private final DeviceArena arena;
  private final String name;
  private final long address;
  private final long byteSize;
  private boolean closed;

  DeviceBuffer(DeviceArena arena, String name, long address, long byteSize) {
    this.arena = arena;
    this.name = name;
    this.address = address;
    this.byteSize = byteSize;
  }

  /// What it holds, for messages.
  public String name() {
    return name;
  }

  /// Device address of the first byte, a multiple of 256.
  ///
  /// @throws IllegalStateException after `close`
  public synchronized long address() {
    if (closed) {
      throw new IllegalStateException("device buffer '%s' was closed".formatted(name));
    }
    return address;
  }

  /// Size in bytes.
  public long byteSize() {
    return byteSize;
  }

  /// Gives the memory back; a second call does nothing.
  @Override
  public void close() {
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
    }
    arena.release(this, address);
  }
}
