package dev.nibble.runtime.cuda.upload;

import dev.nibble.runtime.cuda.driver.CudaDevice;
import dev.nibble.runtime.cuda.driver.CudaEvent;
import dev.nibble.runtime.cuda.driver.CudaStream;
import dev.nibble.runtime.cuda.driver.PinnedBuffer;
import java.lang.foreign.MemorySegment;

/// A stream with two pinned buffers: one is filled while the other crosses the bus. One thread at a
/// time.
final class Lane implements AutoCloseable {
  private final PinnedBuffer pinned;
  private final CudaStream stream;
  private final CudaEvent[] crossed = new CudaEvent[2];
  private final long size;
  private int current;
  private long filled;

  /// @param size of each buffer in bytes
  Lane(CudaDevice device, long size) {
    this.size = size;
    pinned = device.newPinned(2 * size);
    stream = device.newStream();
    for (int i = 0; i < 2; i++) {
      crossed[i] = device.newEvent();
    }
  }

  /// Queues a piece, at most as large as a buffer; its source is free when this returns.
  void copy(Piece piece) {
    long bytes = piece.byteSize();
    if (bytes > size - filled) {
      turn();
    }
    MemorySegment room = pinned.segment().asSlice(current * size + filled, bytes);
    room.copyFrom(piece.source());
    stream.copyIn(piece.target(), room);
    filled += bytes;
  }

  /// Goes on with the other buffer, once it has crossed.
  private void turn() {
    stream.record(crossed[current]);
    current = 1 - current;
    crossed[current].synchronize(); // at once where it was never recorded
    filled = 0;
  }

  /// Waits until all pieces have arrived.
  void drain() {
    stream.synchronize();
    filled = 0;
  }

  @Override
  public void close() {
    stream.close();
    pinned.close();
    for (CudaEvent event : crossed) {
      event.close();
    }
  }
}
