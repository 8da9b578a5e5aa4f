package dev.nibble.runtime.cuda;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.runtime.cuda.driver.LaunchShape;
import dev.nibble.runtime.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Launches of `reduce.cu`; operands are checked already. A number waits for the stream.
final class CudaReductions {
  static final int ABS = 0;
  static final int ABS_DIFFERENCE = 1;
  static final int PRODUCT = 2;

  private static final int ELEMENTS_A_BLOCK = 4096;
  private static final int MOST_BLOCKS = 1024;
  private static final int FEATURES_A_BLOCK = 32;

  private final CudaSession session;
  private final Launcher launcher;
  private final KernelModules.Reduce kernels;

  CudaReductions(CudaSession session) {
    this.session = session;
    launcher = session.launcher();
    kernels = session.kernels().reduce();
  }

  /// The sum over all elements of `|a|`, `|a - b|` or `a · b`.
  double sum(int kind, Tensor a, Tensor b) {
    long count = a.shape().elements();
    // Fixed by the size alone, so that equal tensors have equal sums on every device.
    int blocks = Math.clamp(Math.ceilDiv(count, ELEMENTS_A_BLOCK), 1, MOST_BLOCKS);
    Tensor sums = session.make(DType.F32, Shape.of(blocks + 1L, 2)); // doubles
    long total = CudaBuffer.address(sums) + (long) blocks * Double.BYTES;
    launcher
        .begin()
        .i32(kind)
        .address(CudaBuffer.address(a))
        .i32(Launcher.type(a))
        .address(CudaBuffer.address(b))
        .i32(Launcher.type(b))
        .address(CudaBuffer.address(sums))
        .i64(count)
        .i32(Launcher.width(count, a, b));
    launcher.run(kernels.sums(), LaunchShape.of(blocks, Launcher.THREADS));
    launcher.begin().address(CudaBuffer.address(sums)).i32(blocks).address(total);
    launcher.run(kernels.total(), LaunchShape.of(1, Launcher.THREADS));
    MemorySegment host = session.staging().get(Double.BYTES);
    launcher.stream().copyOut(host, total);
    session.memory().release(sums);
    launcher.stream().synchronize();
    return host.get(ValueLayout.JAVA_DOUBLE, 0);
  }

  /// Of each feature the sums of {@link dev.nibble.runtime.tensor.Ops#featureSums}.
  ///
  /// @param out float32 `[3, D]`
  void features(Tensor x, Tensor out) {
    int d = x.dim(-1);
    if (d == 0) {
      return;
    }
    launcher
        .begin()
        .address(CudaBuffer.address(x))
        .i32(Launcher.type(x))
        .address(CudaBuffer.address(out))
        .i32(Math.toIntExact(x.shape().elements() / d))
        .i32(d);
    launcher.run(
        kernels.features(), LaunchShape.of(Math.ceilDiv(d, FEATURES_A_BLOCK), Launcher.THREADS));
  }

  /// Of each row its Euclidean norm ({@link #PRODUCT}), or the mean of its absolute values.
  ///
  /// @param out float32
  void rows(int kind, Tensor x, Tensor out) {
    int d = x.dim(-1);
    if (x.shape().elements() == 0) {
      return;
    }
    launcher
        .begin()
        .i32(kind)
        .address(CudaBuffer.address(x))
        .i32(Launcher.type(x))
        .address(CudaBuffer.address(out))
        .i32(d)
        .i32(Launcher.width(d, x));
    launcher.run(kernels.rows(), LaunchShape.of(x.shape().elements() / d, Launcher.THREADS));
  }
}
