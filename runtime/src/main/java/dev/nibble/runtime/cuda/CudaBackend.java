package dev.nibble.runtime.cuda;

import dev.nibble.formats.DType;
import dev.nibble.runtime.cuda.CudaOptions.Precision;
import dev.nibble.runtime.cuda.cublas.CublasLt;
import dev.nibble.runtime.cuda.driver.CudaDevice;
import dev.nibble.runtime.cuda.driver.CudaDriver;
import dev.nibble.runtime.cuda.upload.Uploader;
import dev.nibble.runtime.device.DeviceArena;
import dev.nibble.runtime.tensor.AttentionBackend;
import dev.nibble.runtime.tensor.Backend;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.WeightStore;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/// Computes on an NVIDIA GPU. Each session has a stream and memory of its own; what one session no
/// longer needs goes to the next, and back to the device when none is open.
///
/// Attention is computed by one implementation whatever is asked for: an online softmax on tensor
/// cores, which is what the names of CUDA attentions in {@link AttentionBackend} stand for. For
/// names of other devices' attentions it takes their place, which the log says once.
public final class CudaBackend implements Backend {
  private static final System.Logger LOG = System.getLogger(CudaBackend.class.getName());

  private final CudaDevice device;
  private final CudaOptions options;
  private final DType product;
  private final KernelModules kernels;
  private final Optional<CublasLt> blas;
  private final Uploader uploader;
  private final DeviceArena arena;
  private final DeviceArena sessions;
  private final ChunkPool pool;
  private final boolean poisons;
  private final AtomicLong openBytes = new AtomicLong();
  private final Set<AttentionBackend> missed = ConcurrentHashMap.newKeySet();

  private CudaBackend(CudaDevice device, CudaOptions options, boolean poisons) {
    this.device = device;
    this.options = options;
    this.poisons = poisons;
    product =
        switch (options.precision()) {
          case BF16 -> DType.BF16;
          case F32 -> DType.F32;
        };
    kernels = KernelModules.load(device);
    blas = options.precision() == Precision.BF16 ? CublasLt.open(device) : Optional.empty();
    uploader = new Uploader(device);
    arena = device.arena("backend", options.memoryLimitBytes());
    sessions = arena.child("sessions");
    pool = new ChunkPool(sessions);
  }

  /// Opens a GPU.
  ///
  /// @param ordinal the N of `cuda:N`
  /// @throws dev.nibble.runtime.device.DeviceException if there is no such GPU, its driver or
  ///   architecture is too old, or this build carries no kernels: one line that says what to do
  public static CudaBackend open(int ordinal, CudaOptions options) {
    return open(ordinal, options, false);
  }

  /// @param poisons whether new tensors are filled with NaN, so that a test sees what no kernel
  ///   wrote
  static CudaBackend open(int ordinal, CudaOptions options, boolean poisons) {
    CudaDevice device = CudaDriver.open().device(ordinal);
    try {
      return new CudaBackend(device, options, poisons);
    } catch (Throwable e) {
      device.close();
      throw e;
    }
  }

  @Override
  public String description() {
    return "%s, %s, products by %s"
        .formatted(
            device.info().description(),
            options.precision().name().toLowerCase(Locale.ROOT),
            blas.map(library -> "cuBLASLt " + library.version()).orElse("nibble"));
  }

  @Override
  public WeightStore newWeights(String owner) {
    return new CudaWeights(
        owner, device, arena.child(owner), kernels, product, openBytes, uploader);
  }

  @Override
  public Ops newOps(String owner, AttentionBackend attention) {
    warnIfForeign(attention);
    Launcher launcher = new Launcher(device.newStream());
    return new CudaOps(
        new CudaSession(
            kernels,
            launcher,
            new CudaMemory(owner, pool, launcher.stream(), openBytes, poisons),
            new HostStaging(),
            blas,
            product));
  }

  private void warnIfForeign(AttentionBackend wish) {
    boolean isServed =
        wish == AttentionBackend.NATIVE
            || wish == AttentionBackend.NATIVE_MATH
            || wish.requirement().equals(AttentionBackend.FLASH.requirement());
    if (!isServed && missed.add(wish)) {
      LOG.log(
          System.Logger.Level.WARNING,
          "attention backend {0} needs {1}; using native",
          wish.id(),
          wish.requirement());
    }
  }

  @Override
  public long openBytes() {
    return openBytes.get();
  }

  CudaDevice device() {
    return device;
  }

  Optional<CublasLt> blas() {
    return blas;
  }

  /// Bytes of the device that nobody uses at this moment.
  public long freeDeviceBytes() {
    return device.memory().freeBytes();
  }

  @Override
  public long freeBytes() {
    return Math.min(freeDeviceBytes(), options.memoryLimitBytes() - openBytes.get());
  }

  /// Waits for all work of all sessions.
  void synchronize() {
    device.synchronize();
  }

  @Override
  public void close() {
    try {
      sessions.close();
      arena.close();
      uploader.close();
      blas.ifPresent(CublasLt::close);
    } finally {
      device.close();
    }
  }
}
