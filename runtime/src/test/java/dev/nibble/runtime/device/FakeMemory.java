package dev.nibble.runtime.device;

import java.util.HashMap;
import java.util.Map;
import java.util.OptionalLong;

/// Device memory that is only counted.
public final class FakeMemory implements DeviceMemory {
  private final long totalBytes;
  private final Map<Long, Long> sizes = new HashMap<>();
  private long next = 256;
  private long used;

  public FakeMemory(long totalBytes) {
    this.totalBytes = totalBytes;
  }

  @Override
  public String name() {
    return "cuda:0";
  }

  @Override
  public synchronized OptionalLong allocate(long bytes) {
    if (bytes > totalBytes - used) {
      return OptionalLong.empty();
    }
    used += bytes;
    long address = next;
    next += Math.ceilDiv(bytes, 256L) * 256;
    sizes.put(address, bytes);
    return OptionalLong.of(address);
  }

  @Override
  public synchronized void free(long address) {
    Long bytes = sizes.remove(address);
    if (bytes == null) {
      throw new AssertionError("freed twice, or never allocated: " + address);
    }
    used -= bytes;
  }

  @Override
  public synchronized long freeBytes() {
    return totalBytes - used;
  }

  @Override
  public long totalBytes() {
    return totalBytes;
  }
}
