package dev.nibble.runtime.cuda;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.runtime.cuda.cublas.CublasLt;
import dev.nibble.runtime.cuda.cublas.GramProduct;
import dev.nibble.runtime.cuda.cublas.Product;
import dev.nibble.runtime.cuda.driver.LaunchShape;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;

/// `sum += XᵀX`, the lower triangle; operands are checked already.
///
/// NVIDIA's library, where it is installed, gets panels of {@link Ops#GRAM_ROWS} rows, each as wide
/// as its last row needs: half of all, and the same calls however a matrix is cut, so the same
/// algorithms and bits.
final class CudaGram {
  private static final int TILE = 64;

  private final CudaSession session;
  private final Launcher launcher;

  CudaGram(CudaSession session) {
    this.session = session;
    launcher = session.launcher();
  }

  void add(Tensor sum, int begin, Tensor x) {
    if (x.shape().elements() == 0 || sum.shape().elements() == 0) {
      return;
    }
    // As the layers themselves see it.
    Tensor operand = session.as(session.product(), x);
    if (session.blas().isEmpty()) {
      own(sum, begin, operand);
    } else {
      panels(session.blas().get(), sum, begin, operand);
    }
    session.done(operand, x);
  }

  private void panels(CublasLt library, Tensor sum, int begin, Tensor x) {
    Tensor workspace = session.make(DType.F32, Shape.of(CublasLt.WORKSPACE_BYTES / Float.BYTES));
    for (int row = 0; row < sum.dim(0); row += Ops.GRAM_ROWS) {
      Tensor panel = sum.rows(row, Math.min(row + (long) Ops.GRAM_ROWS, sum.dim(0)));
      if (!blas(library, panel, begin + row, x, workspace)) {
        own(panel, begin + row, x);
      }
    }
    session.memory().release(workspace);
  }

  /// Whether the library could.
  private boolean blas(CublasLt library, Tensor panel, int begin, Tensor x, Tensor workspace) {
    int d = x.dim(-1);
    int rows = panel.dim(0);
    GramProduct product =
        new GramProduct(
            rows,
            begin + (long) rows,
            x.shape().elements() / d,
            d,
            x.dtype() == DType.BF16 ? Product.Type.BF16 : Product.Type.F32);
    return library.addGram(
        launcher.stream(),
        product,
        CudaBuffer.address(x) + x.dtype().byteSize(begin),
        CudaBuffer.address(x),
        CudaBuffer.address(panel),
        CudaBuffer.address(workspace));
  }

  private void own(Tensor sum, int begin, Tensor x) {
    int d = x.dim(-1);
    int n = sum.dim(0);
    launcher
        .begin()
        .address(CudaBuffer.address(sum))
        .address(CudaBuffer.address(x))
        .i32(Launcher.type(x))
        .i32(Math.toIntExact(x.shape().elements() / d))
        .i32(d)
        .i32(begin)
        .i32(n);
    launcher.run(
        session.kernels().gram(),
        LaunchShape.of(Math.ceilDiv(begin + n, TILE), Math.ceilDiv(n, TILE), Launcher.THREADS));
  }
}
