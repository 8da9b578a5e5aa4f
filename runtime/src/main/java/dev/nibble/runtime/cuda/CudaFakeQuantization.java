package dev.nibble.runtime.cuda;

import dev.nibble.formats.quant.ActivationType;
import dev.nibble.runtime.cuda.driver.Kernel;
import dev.nibble.runtime.cuda.driver.LaunchShape;
import dev.nibble.runtime.tensor.Tensor;

/// Launches of `fake_quant.cu`.
final class CudaFakeQuantization {
  private final Launcher launcher;
  private final Kernel kernel;

  CudaFakeQuantization(CudaSession session) {
    launcher = session.launcher();
    kernel = session.kernels().fakeQuantRows();
  }

  void rows(Tensor x, ActivationType type, Tensor out) {
    int d = x.dim(-1);
    if (x.shape().elements() == 0) {
      return;
    }
    int code =
        switch (type) {
          case INT8 -> 0;
          case FP8_E4M3 -> 1;
        };
    launcher
        .begin()
        .address(CudaBuffer.address(x))
        .i32(Launcher.type(x))
        .i32(code)
        .address(CudaBuffer.address(out))
        .i32(Launcher.type(out))
        .i32(d)
        .i32(Launcher.width(d, x, out));
    launcher.run(kernel, LaunchShape.of(x.shape().elements() / d, Launcher.THREADS));
  }
}
