package dev.nibble.runtime.cuda;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.runtime.cuda.driver.CudaStream;
import dev.nibble.runtime.device.DeviceBuffer;
import dev.nibble.runtime.device.OutOfDeviceMemoryException;
import dev.nibble.runtime.tensor.Tensor;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/// The tensors of one session: which region owns which buffer. For one thread.
///
/// A chunk that is given back may be taken again at once, though kernels that use it are still to
/// run: all that the session does runs in the order of its stream.
final class CudaMemory {
  private static final int POISON = -1; // NaN as float32, and as two bfloat16

  private final String owner;
  private final ChunkPool pool;
  private final CudaStream stream;
  private final AtomicLong openBytes;
  private final boolean poisons;
  private final ChunkPool.Idle idle = new ChunkPool.Idle();
  private final CudaRegion session = new CudaRegion(this, Optional.empty());

  /// Empty once closed.
  private Optional<CudaRegion> innermost = Optional.of(session);

  /// @param owner for messages
  /// @param stream of all work on this memory
  /// @param openBytes counts what is in use
  /// @param poisons whether new tensors are filled with NaN, so that what no kernel wrote is seen
  CudaMemory(
      String owner, ChunkPool pool, CudaStream stream, AtomicLong openBytes, boolean poisons) {
    this.owner = owner;
    this.pool = pool;
    this.stream = stream;
    this.openBytes = openBytes;
    this.poisons = poisons;
    pool.enter();
  }

  CudaRegion open() {
    CudaRegion region = new CudaRegion(this, Optional.of(innermost()));
    innermost = Optional.of(region);
    return region;
  }

  /// A tensor of the innermost region, with leftovers in it.
  Tensor make(DType dtype, Shape shape) {
    return make(dtype, shape, innermost());
  }

  /// A tensor that lives until the session closes.
  Tensor makeForSession(DType dtype, Shape shape) {
    innermost();
    return make(dtype, shape, session);
  }

  private Tensor make(DType dtype, Shape shape, CudaRegion region) {
    DeviceBuffer chunk = take(shape, ChunkPool.capacity(dtype.byteSize(shape.elements())));
    CudaBuffer buffer = new CudaBuffer(chunk, dtype);
    openBytes.addAndGet(chunk.byteSize());
    region.add(buffer);
    if (poisons) {
      stream.fill(chunk.address(), POISON, chunk.byteSize() / Integer.BYTES);
    }
    return new Tensor(dtype, shape, buffer, 0);
  }

  private DeviceBuffer take(Shape shape, long capacity) {
    DeviceBuffer mine = idle.poll(capacity);
    if (mine != null) {
      return mine;
    }
    try {
      return pool.take(owner, capacity);
    } catch (OutOfDeviceMemoryException e) {
      // Chunks of other sizes may lie idle, here and in the pool.
      stream.synchronize();
      idle.drain().forEach(DeviceBuffer::close);
      pool.drop();
      return pool.take("'%s', a tensor of %s".formatted(owner, shape), capacity);
    }
  }

  void release(Tensor tensor) {
    CudaBuffer buffer = CudaBuffer.of(tensor);
    CudaRegion region = buffer.owner();
    if (region == null || !region.isOf(this)) {
      throw new IllegalStateException(
          "a tensor of %s was released twice, or is not of the session '%s'"
              .formatted(tensor.shape(), owner));
    }
    region.remove(buffer);
    giveBack(buffer);
  }

  void close(CudaRegion region) {
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

  void giveBack(CudaBuffer buffer) {
    DeviceBuffer chunk = buffer.end();
    openBytes.addAndGet(-chunk.byteSize());
    idle.add(chunk);
  }

  /// Waits for the stream and gives everything back; a second call does nothing.
  void close() {
    if (innermost.isEmpty()) {
      return;
    }
    while (innermost.isPresent()) {
      close(innermost.get());
    }
    try {
      stream.synchronize();
    } finally {
      pool.leave(idle.drain());
    }
  }

  private CudaRegion innermost() {
    return innermost.orElseThrow(
        () -> new IllegalStateException("the session '" + owner + "' is closed"));
  }
}
