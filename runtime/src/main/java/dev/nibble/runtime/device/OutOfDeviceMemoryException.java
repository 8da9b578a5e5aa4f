package dev.nibble.runtime.device;

import java.util.Locale;

/// Memory of a device did not suffice, or a limit forbade it.
public final class OutOfDeviceMemoryException extends DeviceException {
  private static final long serialVersionUID = 1L;

  private final String arena;
  private final long requestedBytes;
  private final long inUseBytes;
  private final long limitBytes;

  /// @param arena who asked, with the arenas around it, such as `cuda:0/request 7`
  /// @param what the buffer that was wanted
  /// @param requestedBytes its size
  /// @param inUseBytes what the arena that refused holds already
  /// @param limitBytes what it may hold, or what the device has
  /// @param advice what would work
  public OutOfDeviceMemoryException(
      String arena,
      String what,
      long requestedBytes,
      long inUseBytes,
      long limitBytes,
      String advice) {
    super(
        "%s: no memory for %s (%s): %s of %s in use; %s"
            .formatted(arena, what, mib(requestedBytes), mib(inUseBytes), mib(limitBytes), advice));
    this.arena = arena;
    this.requestedBytes = requestedBytes;
    this.inUseBytes = inUseBytes;
    this.limitBytes = limitBytes;
  }

  private static String mib(long bytes) {
    return String.format(Locale.ROOT, "%,.1f MiB", bytes / (double) (1 << 20));
  }

  /// Who asked.
  public String arena() {
    return arena;
  }

  /// Bytes that were wanted.
  public long requestedBytes() {
    return requestedBytes;
  }

  /// Bytes in use where the request failed.
  public long inUseBytes() {
    return inUseBytes;
  }

  /// Bytes that may be in use there.
  public long limitBytes() {
    return limitBytes;
  }
}
