package dev.nibble.runtime.cuda.driver;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Optional;
import jcuda.driver.CUfunction_attribute;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/// A function of a module, ready to launch. Dies with its module. Thread-safe.
public final class Kernel {
  private final CudaDevice device;
  private final String name;
  private final Handles.Function function;
  private final Optional<int[]> parameterSizes;

  Kernel(CudaDevice device, String name, Handles.Function function) {
    this.device = device;
    this.name = name;
    this.function = function;
    this.parameterSizes =
        CudaFunctions.tellsParameters()
            ? Optional.of(readParameterSizes(function.address()))
            : Optional.empty();
  }

  private static int[] readParameterSizes(long function) {
    int[] sizes = new int[KernelArguments.CAPACITY];
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment offset = arena.allocate(ValueLayout.JAVA_LONG);
      MemorySegment size = arena.allocate(ValueLayout.JAVA_LONG);
      int count = 0;
      while (count < sizes.length
          && CudaFunctions.parameter(function, count, offset, size) == CUresult.CUDA_SUCCESS) {
        sizes[count++] = Math.toIntExact(size.get(ValueLayout.JAVA_LONG, 0));
      }
      return Arrays.copyOf(sizes, count);
    }
  }

  /// The name of its entry point.
  public String name() {
    return name;
  }

  /// Lets blocks have dynamic shared memory above 48 KiB.
  ///
  /// @param bytes at most the device's `sharedBytesPerBlock`, less the kernel's static memory
  public Kernel allowShared(int bytes) {
    device.makeCurrent();
    device.check(
        JCudaDriver.cuFuncSetAttribute(
            function, CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes),
        "asking for %,d bytes of shared memory for kernel '%s'".formatted(bytes, name));
    return this;
  }

  /// Registers of each thread.
  public int registers() {
    return attribute(CUfunction_attribute.CU_FUNC_ATTRIBUTE_NUM_REGS);
  }

  /// Bytes of local memory of each thread: registers that were spilled, and arrays.
  public int localBytes() {
    return attribute(CUfunction_attribute.CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES);
  }

  private int attribute(int attribute) {
    int[] value = new int[1];
    device.makeCurrent();
    device.check(
        JCudaDriver.cuFuncGetAttribute(value, attribute, function),
        "reading an attribute of kernel '%s'".formatted(name));
    return value[0];
  }

  CudaDevice device() {
    return device;
  }

  long address() {
    return function.address();
  }

  /// Arguments of the wrong number or size would read past what was written.
  void requireFit(KernelArguments arguments) {
    if (parameterSizes.isPresent() && !arguments.fits(parameterSizes.get())) {
      throw new IllegalArgumentException(
          "kernel '%s' has parameters of %s bytes; given %s"
              .formatted(name, Arrays.toString(parameterSizes.get()), arguments.describe()));
    }
  }
}
