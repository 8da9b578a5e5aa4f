package dev.nibble.runtime.cuda.driver;

import java.lang.foreign.MemorySegment;
import jcuda.driver.JCudaDriver;

/// Host memory that the device copies at the bus's full speed. Allocating it is slow (about half a
/// second a GiB), so keep it. Closed by whoever made it, after the copies that use it; its device
/// closes what is left.
public final class PinnedBuffer implements AutoCloseable {
  private final CudaDevice device;
  private final Handles.Host host;
  private final MemorySegment segment;
  private boolean closed;

  @SuppressWarnings("restricted") // the driver gave this many bytes
  PinnedBuffer(CudaDevice device, Handles.Host host, long bytes) {
    this.device = device;
    this.host = host;
    this.segment = MemorySegment.ofAddress(host.address()).reinterpret(bytes);
  }

  /// The memory; dead after `close`, which nothing checks.
  public MemorySegment segment() {
    if (closed) {
      throw new IllegalStateException("a pinned buffer was closed");
    }
    return segment;
  }

  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      device.makeCurrent();
      device.forget(this);
      device.check(JCudaDriver.cuMemFreeHost(host), "freeing pinned memory");
    }
  }
}
