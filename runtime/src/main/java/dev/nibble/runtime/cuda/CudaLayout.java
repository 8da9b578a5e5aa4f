package dev.nibble.runtime.cuda;

import dev.nibble.runtime.cuda.driver.KernelArguments;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.tensor.shape.Shapes;
import java.util.List;

/// Launches of `layout.cu`; operands are checked already.
final class CudaLayout {
  private static final int MOST_AXES = 6;

  private final Launcher launcher;
  private final KernelModules.Layout kernels;

  CudaLayout(CudaSession session) {
    launcher = session.launcher();
    kernels = session.kernels().layout();
  }

  /// @param rows product of the sizes of the axes before the one that grows
  void concat(int rows, List<Tensor> parts, Tensor out) {
    if (out.shape().elements() == 0) {
      return;
    }
    long row = out.shape().elements() / rows;
    long to = 0;
    for (Tensor part : parts) {
      long length = part.shape().elements() / rows;
      copyRows(part, 0, length, out, to, row, rows, length);
      to += length;
    }
  }

  /// Entries `[begin, ...)` of an axis.
  void slice(Tensor x, int axis, int begin, Tensor out) {
    long rows = Shapes.product(x, 0, axis);
    long inner = Shapes.product(x, axis + 1, x.rank());
    if (out.shape().elements() > 0) {
      long length = out.shape().elements() / rows;
      copyRows(x, begin * inner, x.dim(axis) * inner, out, 0, length, rows, length);
    }
  }

  private void copyRows(
      Tensor x,
      long at,
      long stride,
      Tensor out,
      long outAt,
      long outStride,
      long rows,
      long length) {
    if (length == 0) {
      return;
    }
    long from = CudaBuffer.address(x) + x.dtype().byteSize(at);
    long to = CudaBuffer.address(out) + out.dtype().byteSize(outAt);
    boolean isWide =
        length % Launcher.WIDE == 0
            && stride % Launcher.WIDE == 0
            && outStride % Launcher.WIDE == 0
            && from % 16 == 0
            && to % 16 == 0;
    int width = isWide ? Launcher.WIDE : 1;
    launcher
        .begin()
        .address(from)
        .i32(Launcher.type(x))
        .i64(stride)
        .address(to)
        .i32(Launcher.type(out))
        .i64(outStride)
        .i64(rows)
        .i64(length)
        .i32(width);
    launcher.run(kernels.copyRows(), launcher.elements(rows * length, width));
  }

  void permute(Tensor x, int[] axes, Tensor out) {
    int rank = axes.length;
    if (rank > MOST_AXES) {
      throw new IllegalArgumentException(
          "permute of %s: more than %d axes".formatted(x.shape(), MOST_AXES));
    }
    long[] strides = new long[rank];
    long running = 1;
    for (int i = rank - 1; i >= 0; i--) {
      strides[i] = running;
      running *= x.dim(i);
    }
    boolean isWide = rank > 0 && axes[rank - 1] == rank - 1;
    int width = isWide ? Launcher.width(x.dim(-1), x, out) : 1;
    KernelArguments arguments =
        launcher
            .begin()
            .address(CudaBuffer.address(x))
            .address(CudaBuffer.address(out))
            .i32(Launcher.type(x))
            .i64(running)
            .i32(rank);
    for (int i = 0; i < MOST_AXES; i++) {
      arguments.i64(i < rank ? x.dim(axes[rank - 1 - i]) : 1);
    }
    for (int i = 0; i < MOST_AXES; i++) {
      arguments.i64(i < rank ? strides[axes[rank - 1 - i]] : 0);
    }
    arguments.i32(width);
    launcher.run(kernels.permute(), launcher.elements(running, width));
  }

  void upsample(Tensor x, Tensor out) {
    int width = Launcher.width(x.dim(3), x, out);
    long count = out.shape().elements();
    launcher
        .begin()
        .address(CudaBuffer.address(x))
        .address(CudaBuffer.address(out))
        .i32(Launcher.type(x))
        .i64(count)
        .i32(x.dim(2))
        .i32(x.dim(3))
        .i32(width);
    launcher.run(kernels.upsample(), launcher.elements(count, width));
  }
}
