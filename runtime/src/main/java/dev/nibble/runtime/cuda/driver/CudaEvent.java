package dev.nibble.runtime.cuda.driver;

import jcuda.driver.CUevent;
import jcuda.driver.JCudaDriver;

/// A mark in a stream: {@link CudaStream#record} sets it, other streams or the host wait for it.
/// Closed by whoever made it; its device closes what is left.
public final class CudaEvent implements AutoCloseable {
  private final CudaDevice device;
  private final CUevent event;
  private boolean closed;

  CudaEvent(CudaDevice device, CUevent event) {
    this.device = device;
    this.event = event;
  }

  CUevent handle() {
    return event;
  }

  /// Waits until what stood before the mark is done.
  public void synchronize() {
    device.makeCurrent();
    device.check(JCudaDriver.cuEventSynchronize(event), "work before an event");
  }

  /// Milliseconds from another mark to this one, to half a microsecond; both must have passed.
  public float millisSince(CudaEvent begin) {
    float[] millis = new float[1];
    device.makeCurrent();
    device.check(
        JCudaDriver.cuEventElapsedTime(millis, begin.event, event), "reading the time of events");
    return millis[0];
  }

  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      device.makeCurrent();
      device.forget(this);
      device.check(JCudaDriver.cuEventDestroy(event), "closing an event");
    }
  }
}
