package dev.nibble.runtime.cuda.driver;

import jcuda.driver.JCudaDriver;

/// Pages of a read-only mapping that the device may copy from at the bus's full speed. Closed by
/// whoever made it, after the copies that use it and before the mapping; its device closes what is
/// left.
public final class RegisteredMemory implements AutoCloseable {
  private final CudaDevice device;
  private final Handles.Host host;
  private boolean closed;

  RegisteredMemory(CudaDevice device, Handles.Host host) {
    this.device = device;
    this.host = host;
  }

  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      device.makeCurrent();
      device.forget(this);
      device.check(JCudaDriver.cuMemHostUnregister(host), "unregistering mapped memory");
    }
  }
}
