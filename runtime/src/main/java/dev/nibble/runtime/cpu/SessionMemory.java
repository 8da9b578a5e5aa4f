package dev.nibble.runtime.cpu;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.runtime.tensor.Tensor;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/// The tensors of one session: which region owns which buffer. For one thread.
final class SessionMemory {
  private final String owner;
  private final BufferPool pool;
  private final AtomicLong openBytes;
  private final CpuRegion session = new CpuRegion(this, Optional.empty());

  /// Empty once closed.
  private Optional<CpuRegion> innermost = Optional.of(session);

  /// @param owner for messages
  /// @param openBytes counts what is in use
  SessionMemory(String owner, BufferPool pool, AtomicLong openBytes) {
    this.owner = owner;
    this.pool = pool;
    this.openBytes = openBytes;
  }

  CpuRegion open() {
    CpuRegion region = new CpuRegion(this, Optional.of(innermost()));
    innermost = Optional.of(region);
    return region;
  }

  /// A tensor of the innermost region, with leftovers in it.
  Tensor make(Shape shape) {
    return make(shape, innermost());
  }

  /// A tensor that lives until the session closes.
  Tensor makeForSession(Shape shape) {
    innermost();
    return make(shape, session);
  }

  private Tensor make(Shape shape, CpuRegion region) {
    CpuBuffer buffer = new CpuBuffer(pool.take(Math.toIntExact(shape.elements())));
    openBytes.addAndGet(buffer.byteSize());
    region.add(buffer);
    return new Tensor(DType.F32, shape, buffer, 0);
  }

  void release(Tensor tensor) {
    CpuBuffer buffer = CpuBuffer.of(tensor);
    CpuRegion region = buffer.owner();
    if (region == null || !region.isOf(this)) {
      throw new IllegalStateException(
          "a tensor of %s was released twice, or is not of the session '%s'"
              .formatted(tensor.shape(), owner));
    }
    region.remove(buffer);
    giveBack(buffer);
  }

  void close(CpuRegion region) {
    if (innermost.isEmpty()) {
      return; // the session has closed, and this with it
    }
    if (innermost.get() != region) {
      throw new IllegalStateException(
          "regions of '%s' close in reverse order of opening".formatted(owner));
    }
    region.end();
    innermost = region.parent();
  }

  void giveBack(CpuBuffer buffer) {
    openBytes.addAndGet(-buffer.byteSize());
    pool.give(buffer.end());
  }

  /// Gives everything back.
  void close() {
    while (innermost.isPresent()) {
      close(innermost.get());
    }
  }

  private CpuRegion innermost() {
    return innermost.orElseThrow(
        () -> new IllegalStateException("the session '" + owner + "' is closed"));
  }
}
