package dev.nibble.runtime.device;

import java.util.OptionalLong;

/// Raw memory of one device, in bytes. Thread-safe.
public interface DeviceMemory {
  /// The device in messages, such as `cuda:0`.
  String name();

  /// The address of new memory, aligned to 256 bytes, or empty if there is not enough.
  ///
  /// @param bytes at least 1
  OptionalLong allocate(long bytes);

  /// Gives memory back.
  ///
  /// @param address as {@link #allocate} returned it
  void free(long address);

  /// Bytes that nobody on this machine uses at this moment.
  long freeBytes();

  /// Bytes of the device.
  long totalBytes();
}
