package dev.nibble.runtime.cuda.upload;

import dev.nibble.runtime.cuda.driver.CudaDevice;
import dev.nibble.runtime.cuda.driver.CudaEvent;
import dev.nibble.runtime.cuda.driver.CudaStream;
import dev.nibble.runtime.cuda.driver.PinnedBuffer;
import java.lang.foreign.MemorySegment;

/// Copies that pass through two pinned buffers: one is filled while the other crosses the bus. One
/// thread.
final class Staging implements AutoCloseable {
  private final CudaStream stream;
  private final PinnedBuffer[] buffers = new PinnedBuffer[2];
  private final CudaEvent[] crossed = new CudaEvent[2];
  private final long size;
  private int current;
  private long filled;

  /// @param stream borrowed
  /// @param size of each buffer in bytes
  Staging(CudaDevice device, CudaStream stream, long size) {
    this.stream = stream;
    this.size = size;
    for (int i = 0; i < 2; i++) {
      buffers[i] = device.newPinned(size);
      crossed[i] = device.newEvent();
    }
  }

  /// Queues a piece; its source is free when this returns.
  void copy(Piece piece) {
    long total = piece.source().byteSize();
    for (long at = 0; at < total; ) {
      if (filled == size) {
        turn();
      }
      long bytes = Math.min(total - at, size - filled);
      MemorySegment room = buffers[current].segment().asSlice(filled, bytes);
      room.copyFrom(piece.source().asSlice(at, bytes));
      stream.copyIn(piece.target() + at, room);
      filled += bytes;
      at += bytes;
    }
  }

  /// Goes on with the other buffer, once it has crossed.
  private void turn() {
    stream.record(crossed[current]);
    current = 1 - current;
    crossed[current].synchronize(); // at once where it was never recorded
    filled = 0;
  }

  /// Waits for all copies of the stream.
  void drain() {
    stream.synchronize();
    filled = 0;
  }

  @Override
  public void close() {
    stream.synchronize();
    for (int i = 0; i < 2; i++) {
      buffers[i].close();
      crossed[i].close();
    }
  }
}
