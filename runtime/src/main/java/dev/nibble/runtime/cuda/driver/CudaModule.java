package dev.nibble.runtime.cuda.driver;

import dev.nibble.runtime.device.DeviceException;
import jcuda.driver.CUmodule;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/// Kernels loaded from one fatbin. Owned by its device, which closes it.
public final class CudaModule {
  private final CudaDevice device;
  private final String name;
  private final CUmodule module;

  CudaModule(CudaDevice device, String name, CUmodule module) {
    this.device = device;
    this.name = name;
    this.module = module;
  }

  /// The name that it was loaded under.
  public String name() {
    return name;
  }

  /// The kernel with an entry point.
  ///
  /// @throws DeviceException if the module has none of this name
  public Kernel kernel(String entryPoint) {
    device.makeCurrent();
    Handles.Function function = new Handles.Function();
    int result = JCudaDriver.cuModuleGetFunction(function, module, entryPoint);
    if (result == CUresult.CUDA_ERROR_NOT_FOUND) {
      throw new DeviceException(
          "kernel module '%s' has no entry point '%s': the jar mixes two builds; build it again"
              .formatted(name, entryPoint));
    }
    device.check(result, "finding kernel '%s' in module '%s'".formatted(entryPoint, name));
    return new Kernel(device, entryPoint, function);
  }

  void unload() {
    device.makeCurrent();
    device.check(
        JCudaDriver.cuModuleUnload(module), "unloading kernel module '%s'".formatted(name));
  }
}
