package dev.nibble.runtime.cuda;

import dev.nibble.runtime.cuda.upload.Piece;
import dev.nibble.runtime.cuda.upload.Uploader;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/// Bytes of weights that are still to go to the device: many weights cross together, at the speed
/// of the bus. Filled by one thread; whoever uses a weight first makes sure that it has arrived.
final class WeightQueue {
  private static final long TOGETHER_BYTES = 512L << 20;

  private final Uploader uploader;
  private final List<Piece> pieces = new ArrayList<>();
  private long bytes;

  // Read by every operation, so without the lock.
  private volatile boolean isEmpty = true;

  /// @param uploader borrowed
  WeightQueue(Uploader uploader) {
    this.uploader = uploader;
  }

  /// @param source must live until it has arrived
  synchronized void add(long target, MemorySegment source) {
    pieces.add(new Piece(source, target));
    bytes += source.byteSize();
    isEmpty = false;
    if (bytes >= TOGETHER_BYTES) {
      send();
    }
  }

  /// When it returns, all that was added is on the device.
  void arrive() {
    if (!isEmpty) {
      send();
    }
  }

  private synchronized void send() {
    uploader.upload(pieces, Uploader.Progress.NONE, () -> false);
    drop();
  }

  /// Forgets what was not sent: the weights are given back.
  synchronized void drop() {
    pieces.clear();
    bytes = 0;
    isEmpty = true;
  }
}
