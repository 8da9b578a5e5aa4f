package dev.nibble.runtime.cuda.driver;

import dev.nibble.runtime.device.DeviceArena;
import dev.nibble.runtime.device.DeviceException;
import dev.nibble.runtime.device.DeviceMemory;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.OptionalLong;
import java.util.SequencedMap;
import jcuda.driver.CUdevice;
import jcuda.driver.CUevent;
import jcuda.driver.CUmodule;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream_flags;
import jcuda.driver.JCudaDriver;

/// An open GPU. Holds its primary context, the one that NVIDIA's own libraries use too, and makes
/// it current in every thread that calls. Thread-safe; streams are not.
///
/// Closing it closes what it made and is still open, last first; its arena must be empty by then.
public final class CudaDevice implements AutoCloseable {
  private final CUdevice device;
  private final DeviceInfo info;
  private final Handles.Context context;
  private final String where;
  private final DeviceMemory memory = new Memory();
  private final DeviceArena arena;
  private final SequencedMap<Object, Runnable> open = new LinkedHashMap<>();
  private boolean closed;

  private CudaDevice(CUdevice device, DeviceInfo info, Handles.Context context) {
    this.device = device;
    this.info = info;
    this.context = context;
    this.where = "cuda:%d (%s)".formatted(info.ordinal(), info.name());
    this.arena = DeviceArena.root(memory, "all", Long.MAX_VALUE);
  }

  static CudaDevice open(CUdevice device, DeviceInfo info) {
    Handles.Context context = new Handles.Context();
    Results.check(
        JCudaDriver.cuDevicePrimaryCtxRetain(context, device),
        "cuda:%d (%s)".formatted(info.ordinal(), info.name()),
        "making its context");
    return new CudaDevice(device, info, context);
  }

  /// What it is.
  public DeviceInfo info() {
    return info;
  }

  /// Its raw memory.
  public DeviceMemory memory() {
    return memory;
  }

  /// A new arena of its memory. Closed by the caller, before this device.
  public DeviceArena arena(String name, long limitBytes) {
    return arena.child(name, limitBytes);
  }

  /// A new stream, independent of the default stream.
  public CudaStream newStream() {
    makeCurrent();
    Handles.Stream handle = new Handles.Stream();
    check(
        JCudaDriver.cuStreamCreate(handle, CUstream_flags.CU_STREAM_NON_BLOCKING),
        "making a stream");
    CudaStream stream = new CudaStream(this, handle);
    remember(stream, stream::close);
    return stream;
  }

  /// A new event.
  public CudaEvent newEvent() {
    makeCurrent();
    CUevent handle = new CUevent();
    check(JCudaDriver.cuEventCreate(handle, 0), "making an event");
    CudaEvent event = new CudaEvent(this, handle);
    remember(event, event::close);
    return event;
  }

  /// New pinned host memory.
  public PinnedBuffer newPinned(long bytes) {
    makeCurrent();
    Handles.Host host = new Handles.Host();
    check(
        JCudaDriver.cuMemAllocHost(host, bytes), "pinning %,d bytes of the host".formatted(bytes));
    PinnedBuffer buffer = new PinnedBuffer(this, host, bytes);
    remember(buffer, buffer::close);
    return buffer;
  }

  /// Loads kernels. They stay until the device closes.
  ///
  /// @param name for messages
  /// @param fatbin a fatbin, cubin, or zero-terminated PTX
  public CudaModule load(String name, byte[] fatbin) {
    makeCurrent();
    CUmodule handle = new CUmodule();
    check(
        JCudaDriver.cuModuleLoadData(handle, fatbin), "loading kernel module '%s'".formatted(name));
    CudaModule module = new CudaModule(this, name, handle);
    remember(module, module::unload);
    return module;
  }

  /// Waits for all work of all streams.
  public void synchronize() {
    makeCurrent();
    check(JCudaDriver.cuCtxSynchronize(), "work on the device");
  }

  /// Makes this device the one that the calling thread's driver calls go to. Everything here does
  /// it itself; libraries such as cuBLASLt need it.
  public void makeCurrent() {
    int result = CudaFunctions.setCurrent(context.address());
    if (result != CUresult.CUDA_SUCCESS) {
      throw failure(result, "entering its context");
    }
  }

  void remember(Object object, Runnable close) {
    synchronized (open) {
      if (!closed) {
        open.put(object, close);
        return;
      }
    }
    close.run();
    throw new IllegalStateException("%s was closed".formatted(where));
  }

  void forget(Object object) {
    synchronized (open) {
      open.remove(object);
    }
  }

  String where() {
    return where;
  }

  void check(int result, String what) {
    if (result != CUresult.CUDA_SUCCESS) {
      throw failure(result, what);
    }
  }

  DeviceException failure(int result, String what) {
    return Results.failure(result, where, what);
  }

  /// @throws IllegalStateException if buffers of its memory are open: lists them
  @Override
  public void close() {
    List<Runnable> closers;
    synchronized (open) {
      if (closed) {
        return;
      }
      closed = true;
      closers = List.copyOf(open.sequencedValues().reversed());
      open.clear();
    }
    try {
      closers.forEach(Runnable::run);
      arena.close();
    } finally {
      Results.check(
          JCudaDriver.cuDevicePrimaryCtxRelease(device), where, "giving its context back");
    }
  }

  private final class Memory implements DeviceMemory {
    @Override
    public String name() {
      return "cuda:" + info.ordinal();
    }

    @Override
    public OptionalLong allocate(long bytes) {
      makeCurrent();
      Handles.Device address = new Handles.Device();
      int result = JCudaDriver.cuMemAlloc(address, bytes);
      if (result == CUresult.CUDA_ERROR_OUT_OF_MEMORY) {
        return OptionalLong.empty();
      }
      check(result, "allocating %,d bytes".formatted(bytes));
      return OptionalLong.of(address.address());
    }

    @Override
    public void free(long address) {
      makeCurrent();
      check(JCudaDriver.cuMemFree(new Handles.Device(address)), "freeing device memory");
    }

    @Override
    public long freeBytes() {
      return info(0);
    }

    @Override
    public long totalBytes() {
      return info(1);
    }

    private long info(int which) {
      long[] free = new long[1];
      long[] total = new long[1];
      makeCurrent();
      check(JCudaDriver.cuMemGetInfo(free, total), "reading its memory");
      return which == 0 ? free[0] : total[0];
    }
  }
}
