package dev.nibble.runtime.cuda.driver;

import dev.nibble.runtime.device.DeviceException;
import jcuda.driver.CUresult;

/// Turns the driver's results into exceptions of one line: what, where, cure.
final class Results {
  private Results() {}

  /// @param result of a driver call
  /// @param where the device, such as `cuda:0 (NVIDIA H100)`
  /// @param what the call in words, such as `copy of 4,096 bytes to the device`
  static void check(int result, String where, String what) {
    if (result != CUresult.CUDA_SUCCESS) {
      throw failure(result, where, what);
    }
  }

  static DeviceException failure(int result, String where, String what) {
    return new DeviceException(
        "%s: %s failed with %s: %s"
            .formatted(where, what, CUresult.stringFor(result), cure(result)));
  }

  private static String cure(int result) {
    return switch (result) {
      case CUresult.CUDA_ERROR_OUT_OF_MEMORY ->
          "the device's memory is full; end other programs on it, or draw smaller pictures";
      case CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU, CUresult.CUDA_ERROR_INVALID_IMAGE ->
          "this build carries no kernels for this GPU's architecture; nibble needs compute"
              + " capability 8.0 or newer, and a driver as new as the toolkit that built the kernels";
      case CUresult.CUDA_ERROR_UNSUPPORTED_PTX_VERSION, CUresult.CUDA_ERROR_INVALID_PTX ->
          "the driver is older than the toolkit that built the kernels; update the NVIDIA driver";
      case CUresult.CUDA_ERROR_SYSTEM_DRIVER_MISMATCH,
          CUresult.CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE ->
          "the driver's library and its kernel module differ; restart the machine after an update"
              + " of the driver";
      case CUresult.CUDA_ERROR_NO_DEVICE ->
          "no GPU is visible; check nvidia-smi and CUDA_VISIBLE_DEVICES, or use the cpu device";
      case CUresult.CUDA_ERROR_ILLEGAL_ADDRESS,
          CUresult.CUDA_ERROR_ILLEGAL_INSTRUCTION,
          CUresult.CUDA_ERROR_LAUNCH_FAILED,
          CUresult.CUDA_ERROR_MISALIGNED_ADDRESS,
          CUresult.CUDA_ERROR_ASSERT ->
          "a kernel is at fault and the device is lost to this process: restart it, and report a"
              + " bug with what compute-sanitizer says";
      case CUresult.CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES ->
          "the kernel wants more registers or shared memory than the device has; report a bug";
      default -> "see the driver's log (dmesg), and report a bug if it says nothing";
    };
  }
}
