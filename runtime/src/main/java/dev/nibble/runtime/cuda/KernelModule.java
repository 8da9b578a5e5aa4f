package dev.nibble.runtime.cuda;

import dev.nibble.runtime.cuda.driver.CudaDevice;
import dev.nibble.runtime.cuda.driver.CudaModule;
import dev.nibble.runtime.device.DeviceException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;

/// The kernels of this build: one fatbin for each `src/main/cuda/<group>/<name>.cu`, beside this
/// class under `kernels/`.
public final class KernelModule {
  private KernelModule() {}

  /// Whether this build carries a module.
  public static boolean exists(String name) {
    return KernelModule.class.getResource(resource(name)) != null;
  }

  /// Loads a module on a device, which owns it from then on.
  ///
  /// @param name of the source, without folder and ending
  /// @throws DeviceException if this build carries no kernels, or the device can't run them
  public static CudaModule load(CudaDevice device, String name) {
    try (InputStream file = KernelModule.class.getResourceAsStream(resource(name))) {
      if (file == null) {
        throw new DeviceException(missing(name));
      }
      return device.load(name, file.readAllBytes());
    } catch (IOException e) {
      throw new UncheckedIOException("reading kernel module '%s'".formatted(name), e);
    }
  }

  static String missing(String name) {
    return "this build carries no CUDA kernels (module '%s'): build nibble where nvcc of CUDA 12.4 or newer is found, or use the cpu device"
        .formatted(name);
  }

  private static String resource(String name) {
    return "kernels/" + name + ".fatbin";
  }
}
