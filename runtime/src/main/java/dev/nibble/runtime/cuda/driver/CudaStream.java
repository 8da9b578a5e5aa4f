package dev.nibble.runtime.cuda.driver;

import java.lang.foreign.MemorySegment;
import java.util.Optional;
import jcuda.driver.CUgraph;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/// A queue of work of a device: what is put in runs in order, beside other streams. Nothing here
/// waits for the device but {@link #synchronize}; memory that a copy or a kernel uses must live
/// until then. One thread at a time. Closed by whoever made it; its device closes what is left.
///
/// A copy is fast, and returns at once, only where the host's side is a {@link PinnedBuffer}; other
/// memory the driver stages first.
public final class CudaStream implements AutoCloseable {
  private static final int CAPTURE_RELAXED = 2; // CU_STREAM_CAPTURE_MODE_RELAXED

  private final CudaDevice device;
  private final Handles.Stream stream;
  private Optional<Kernel> last = Optional.empty();
  private boolean closed;

  CudaStream(CudaDevice device, Handles.Stream stream) {
    this.device = device;
    this.stream = stream;
  }

  /// The device that it belongs to.
  public CudaDevice device() {
    return device;
  }

  /// The driver's handle, for libraries such as cuBLASLt.
  public long handle() {
    requireOpen();
    return stream.address();
  }

  /// Runs a kernel.
  ///
  /// @throws IllegalArgumentException if the arguments are not the kernel's in number and size
  public void launch(Kernel kernel, LaunchShape shape, KernelArguments arguments) {
    requireOpen();
    kernel.requireFit(arguments);
    device.makeCurrent();
    int result =
        CudaFunctions.launch(kernel.address(), shape, stream.address(), arguments.pointers());
    if (result != CUresult.CUDA_SUCCESS) {
      throw device.failure(result, "launch of kernel '%s' %s".formatted(kernel.name(), shape));
    }
    last = Optional.of(kernel);
  }

  /// Copies a whole segment of the host to the device.
  ///
  /// @param source native memory, of any size
  public void copyIn(long target, MemorySegment source) {
    enter();
    device.check(
        JCudaDriver.cuMemcpyHtoDAsync(
            new Handles.Device(target), host(source), source.byteSize(), stream),
        "copy of %,d bytes to the device".formatted(source.byteSize()));
  }

  /// Copies from the device to a whole segment of the host.
  ///
  /// @param target native memory, of any size
  public void copyOut(MemorySegment target, long source) {
    enter();
    device.check(
        JCudaDriver.cuMemcpyDtoHAsync(
            host(target), new Handles.Device(source), target.byteSize(), stream),
        "copy of %,d bytes from the device".formatted(target.byteSize()));
  }

  /// Copies within the device.
  public void copy(long target, long source, long bytes) {
    enter();
    device.check(
        JCudaDriver.cuMemcpyDtoDAsync(
            new Handles.Device(target), new Handles.Device(source), bytes, stream),
        "copy of %,d bytes on the device".formatted(bytes));
  }

  /// Sets bytes of the device.
  public void fill(long target, byte value, long bytes) {
    enter();
    device.check(
        JCudaDriver.cuMemsetD8Async(new Handles.Device(target), value, bytes, stream),
        "filling %,d bytes".formatted(bytes));
  }

  /// Sets 32-bit words of the device.
  public void fill(long target, int value, long words) {
    enter();
    device.check(
        JCudaDriver.cuMemsetD32Async(new Handles.Device(target), value, words, stream),
        "filling %,d words".formatted(words));
  }

  /// Records what is put into this stream instead of running it.
  ///
  /// @param work puts kernels and copies on the device into this stream, and waits for nothing
  public CudaGraph capture(Runnable work) {
    enter();
    CUgraph graph = new CUgraph();
    device.check(JCudaDriver.cuStreamBeginCapture(stream, CAPTURE_RELAXED), "recording work");
    try {
      work.run();
    } finally {
      device.check(JCudaDriver.cuStreamEndCapture(stream, graph), "recording work");
    }
    CudaGraph recorded = new CudaGraph(device, graph);
    device.remember(recorded, recorded::close);
    return recorded;
  }

  /// Runs recorded work.
  public void launch(CudaGraph graph) {
    enter();
    device.check(JCudaDriver.cuGraphLaunch(graph.executable(), stream), "launch of recorded work");
  }

  /// Puts a mark behind the work so far.
  public void record(CudaEvent event) {
    enter();
    device.check(JCudaDriver.cuEventRecord(event.handle(), stream), "recording an event");
  }

  /// Lets later work wait for a mark of another stream.
  public void waitFor(CudaEvent event) {
    enter();
    device.check(JCudaDriver.cuStreamWaitEvent(stream, event.handle(), 0), "waiting for an event");
  }

  /// Waits until all work is done.
  ///
  /// @throws dev.nibble.runtime.device.DeviceException if some of it failed
  public void synchronize() {
    enter();
    int result = JCudaDriver.cuStreamSynchronize(stream);
    if (result != CUresult.CUDA_SUCCESS) {
      throw device.failure(
          result,
          last.map(kernel -> "work up to kernel '%s'".formatted(kernel.name()))
              .orElse("work of a stream"));
    }
  }

  private void enter() {
    requireOpen();
    device.makeCurrent();
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("a stream of %s was closed".formatted(device.where()));
    }
  }

  private static Handles.Host host(MemorySegment segment) {
    if (!segment.isNative()) {
      throw new IllegalArgumentException("the device copies native memory only, not Java arrays");
    }
    return new Handles.Host(segment.address());
  }

  /// Waits for the work, then gives the stream back; a second call does nothing.
  @Override
  public void close() {
    if (!closed) {
      device.makeCurrent();
      int result = JCudaDriver.cuStreamSynchronize(stream);
      closed = true;
      device.forget(this);
      int destroyed = JCudaDriver.cuStreamDestroy(stream);
      device.check(result, "work of a stream that closes");
      device.check(destroyed, "closing a stream");
    }
  }
}
