package dev.nibble.runtime.cuda.driver;

import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUfunction;
import jcuda.driver.CUstream;

/// Handles of JCuda that show the number which they keep to themselves: foreign functions take
/// numbers, and so do kernels.
final class Handles {
  private Handles() {}

  static final class Context extends CUcontext {
    long address() {
      return getNativePointer();
    }
  }

  static final class Stream extends CUstream {
    long address() {
      return getNativePointer();
    }
  }

  static final class Function extends CUfunction {
    long address() {
      return getNativePointer();
    }
  }

  /// An address on the device.
  static final class Device extends CUdeviceptr {
    Device() {}

    Device(long address) {
      super(new CUdeviceptr(), address);
    }

    long address() {
      return getNativePointer() + getByteOffset();
    }
  }

  /// An address of the host; may lie anywhere in a segment of any size.
  static final class Host extends Pointer {
    Host() {}

    Host(long address) {
      super(address);
    }

    long address() {
      return getNativePointer() + getByteOffset();
    }
  }
}
