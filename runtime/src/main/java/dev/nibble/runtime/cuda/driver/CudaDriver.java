package dev.nibble.runtime.cuda.driver;

import dev.nibble.runtime.device.DeviceException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.IntStream;
import jcuda.LogLevel;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdevice_attribute;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/// The NVIDIA driver of this machine. Thread-safe.
public final class CudaDriver {
  /// Of the driver API that JCuda 12.6 binds.
  private static final int OLDEST = 12_000;

  private static final int OLDEST_CAPABILITY = 80;

  private final int version;

  private CudaDriver(int version) {
    this.version = version;
  }

  /// Whether this machine has an NVIDIA driver and at least one GPU that it sees.
  public static boolean hasDevice() {
    if (CudaLibrary.find().isEmpty()) {
      return false;
    }
    try {
      return !open().devices().isEmpty();
    } catch (DeviceException e) {
      return false;
    }
  }

  /// Starts the driver.
  ///
  /// @throws DeviceException if there is none, or it is too old: says what to install
  public static CudaDriver open() {
    if (CudaLibrary.find().isEmpty()) {
      throw new DeviceException(Messages.noDriver(CudaLibrary.fileName()));
    }
    try {
      JCudaDriver.setLogLevel(LogLevel.LOG_QUIET);
    } catch (LinkageError e) {
      throw new DeviceException(
          Messages.noNatives(System.getProperty("os.name"), System.getProperty("os.arch")), e);
    }
    int result = JCudaDriver.cuInit(0);
    Results.check(result, "NVIDIA driver", "its start (cuInit)");
    int[] version = new int[1];
    Results.check(JCudaDriver.cuDriverGetVersion(version), "NVIDIA driver", "reading its version");
    if (version[0] < OLDEST) {
      throw new DeviceException(Messages.oldDriver(version[0], OLDEST));
    }
    return new CudaDriver(version[0]);
  }

  /// Newest CUDA version that the driver serves, such as 13000 for 13.0.
  public int version() {
    return version;
  }

  /// Every GPU that the driver shows, in its order.
  public List<DeviceInfo> devices() {
    int[] count = new int[1];
    int result = JCudaDriver.cuDeviceGetCount(count);
    Results.check(result, "NVIDIA driver", "counting GPUs");
    return IntStream.range(0, count[0]).mapToObj(CudaDriver::describe).toList();
  }

  /// Opens a GPU: makes its primary context, which takes a tenth of a second and some hundred MiB.
  ///
  /// @param ordinal the N of `cuda:N`
  /// @throws DeviceException if there is no such GPU, or it is older than nibble's kernels
  public CudaDevice device(int ordinal) {
    List<DeviceInfo> all = devices();
    if (ordinal < 0 || ordinal >= all.size()) {
      throw new DeviceException(Messages.noSuchDevice(ordinal, all));
    }
    DeviceInfo info = all.get(ordinal);
    if (info.capability() < OLDEST_CAPABILITY) {
      throw new DeviceException(Messages.oldDevice(info));
    }
    return CudaDevice.open(handle(ordinal), info);
  }

  private static CUdevice handle(int ordinal) {
    CUdevice device = new CUdevice();
    Results.check(JCudaDriver.cuDeviceGet(device, ordinal), "cuda:" + ordinal, "finding it");
    return device;
  }

  private static DeviceInfo describe(int ordinal) {
    CUdevice device = handle(ordinal);
    byte[] name = new byte[256];
    Results.check(
        JCudaDriver.cuDeviceGetName(name, name.length, device), "cuda:" + ordinal, "naming it");
    long[] total = new long[1];
    Results.check(
        JCudaDriver.cuDeviceTotalMem(total, device), "cuda:" + ordinal, "reading its memory");
    int length = 0;
    while (length < name.length && name[length] != 0) {
      length++;
    }
    return new DeviceInfo(
        ordinal,
        new String(name, 0, length, StandardCharsets.UTF_8),
        attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
        attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
        attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
        total[0],
        attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE),
        attribute(
            device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN));
  }

  /// An attribute that this driver does not know counts as 0.
  private static int attribute(CUdevice device, int attribute) {
    int[] value = new int[1];
    int result = JCudaDriver.cuDeviceGetAttribute(value, attribute, device);
    return result == CUresult.CUDA_SUCCESS ? value[0] : 0;
  }
}
