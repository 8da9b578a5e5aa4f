package dev.nibble.runtime.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// Native memory of one session between Java's arrays and the driver, which stages copies from such
/// memory before it returns: it may be written again at once.
final class HostStaging implements AutoCloseable {
  private static final long SMALLEST = 1 << 16;

  private Arena arena = Arena.ofShared();
  private MemorySegment segment = arena.allocate(SMALLEST, 64);

  /// Memory of that size, with leftovers in it, until the next call.
  @SuppressWarnings("MustBeClosedChecker") // the next call or `close` closes it
  MemorySegment get(long bytes) {
    if (bytes > segment.byteSize()) {
      arena.close();
      arena = Arena.ofShared();
      segment = arena.allocate(ChunkPool.capacity(bytes), 64);
    }
    return segment.asSlice(0, bytes);
  }

  @Override
  public void close() {
    arena.close();
  }
}
