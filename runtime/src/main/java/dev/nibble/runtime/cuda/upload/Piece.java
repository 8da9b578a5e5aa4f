package dev.nibble.runtime.cuda.upload;

import java.lang.foreign.MemorySegment;

/// Bytes of the host and where they belong on the device.
///
/// @param source native memory, such as a slice of a mapped file; borrowed until the upload ends
/// @param target device address of memory of the same size
public record Piece(MemorySegment source, long target) {
  public Piece {
    if (!source.isNative()) {
      throw new IllegalArgumentException("the device copies native memory only, not Java arrays");
    }
  }

  /// A part of it.
  Piece part(long offset, long bytes) {
    return new Piece(source.asSlice(offset, bytes), target + offset);
  }
}
