package dev.nibble.runtime.cuda;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.runtime.cuda.cublas.CublasLt;
import dev.nibble.runtime.cuda.cublas.Product;
import dev.nibble.runtime.cuda.driver.LaunchShape;
import dev.nibble.runtime.tensor.Conv2d;
import dev.nibble.runtime.tensor.Tensor;
import java.util.Optional;

/// Products with a weight; operands are checked already.
///
/// A weight meets few rows straight from its codes. For many rows it is decoded into a slab of the
/// session's memory first, which the dense product then reads out of the second-level cache, as far
/// as it fits.
final class CudaProducts {
  /// Up to this many rows go to the product that decodes as it multiplies.
  private static final int FEW_ROWS = 16;

  private static final int DECODED_A_BLOCK = 8192;
  private static final int FEW_ROWS_TILE = 16;
  private static final int FEW_ROWS_THREADS = 512;
  private static final int GEMM_TILE = 128;
  private static final int GEMM_THREADS = 128;
  private static final int CONV_TILE = 128;
  private static final int EXACT_TILE = 64;

  private final CudaSession session;
  private final Launcher launcher;
  private final KernelModules kernels;

  CudaProducts(CudaSession session) {
    this.session = session;
    launcher = session.launcher();
    kernels = session.kernels();
  }

  /// @param rows of x
  /// @param bias float32
  void linear(Tensor x, int rows, CudaLinearWeight weight, Optional<Tensor> bias, Tensor out) {
    if (out.shape().elements() == 0) {
      return;
    }
    if (!session.isExact()
        && rows <= FEW_ROWS
        && weight.takesFewRows()
        && CudaBuffer.address(x) % 16 == 0) {
      fewRows(x, rows, weight, bias, out);
      return;
    }
    Tensor operand = session.as(session.product(), x);
    Optional<Tensor> slab = slab(weight);
    long dense = slab.map(CudaBuffer::address).orElse(weight.codes());
    if (session.isExact()) {
      exact(operand, new Picture(1, 1, rows), Conv2d.POINTWISE, dense, DType.F32, bias, out);
    } else {
      gemm(operand, rows, weight, dense, bias, out);
    }
    slab.ifPresent(session.memory()::release);
    session.done(operand, x);
  }

  private void fewRows(
      Tensor x, int rows, CudaLinearWeight weight, Optional<Tensor> bias, Tensor out) {
    int k = weight.inFeatures();
    int n = weight.outFeatures();
    launcher
        .begin()
        .address(CudaBuffer.address(out))
        .address(CudaBuffer.address(x))
        .struct(weight.argument())
        .address(bias.map(CudaBuffer::address).orElse(0L))
        .i32(rows)
        .i32(n)
        .i32(k)
        .i32(k)
        .i32(n);
    launcher.run(
        kernels.weights().fewRows(weight.format(), x.dtype()),
        LaunchShape.of(
                Math.ceilDiv(n, FEW_ROWS_TILE), Math.ceilDiv(rows, FEW_ROWS_TILE), FEW_ROWS_THREADS)
            .withShared(weight.fewRowsSharedBytes()));
  }

  private void gemm(
      Tensor x, int rows, CudaLinearWeight weight, long dense, Optional<Tensor> bias, Tensor out) {
    if (session.blas().isPresent()
        && blas(session.blas().get(), x, rows, weight, dense, bias, out)) {
      return;
    }
    int k = weight.inFeatures();
    int n = weight.outFeatures();
    launcher
        .begin()
        .address(CudaBuffer.address(out))
        .address(CudaBuffer.address(x))
        .address(dense)
        .address(bias.map(CudaBuffer::address).orElse(0L))
        .i32(rows)
        .i32(n)
        .i32(k)
        .i32(k)
        .i32(n);
    launcher.run(
        kernels.gemm().of(out.dtype()),
        LaunchShape.of(
                (long) Math.ceilDiv(rows, GEMM_TILE) * Math.ceilDiv(n, GEMM_TILE), GEMM_THREADS)
            .withShared(KernelModules.Gemm.SHARED_BYTES));
  }

  /// Whether the library could.
  private boolean blas(
      CublasLt library,
      Tensor x,
      int rows,
      CudaLinearWeight weight,
      long dense,
      Optional<Tensor> bias,
      Tensor out) {
    Product product =
        new Product(
            rows,
            weight.outFeatures(),
            weight.inFeatures(),
            Product.Type.BF16,
            out.dtype() == DType.BF16 ? Product.Type.BF16 : Product.Type.F32,
            bias.isPresent());
    // The library takes a bias of the result's type.
    Optional<Tensor> added = bias.map(b -> session.as(out.dtype(), b));
    Tensor workspace = session.make(DType.F32, Shape.of(CublasLt.WORKSPACE_BYTES / Float.BYTES));
    boolean done =
        library.multiply(
            launcher.stream(),
            product,
            CudaBuffer.address(x),
            dense,
            CudaBuffer.address(out),
            added.map(CudaBuffer::address).orElse(0L),
            CudaBuffer.address(workspace));
    session.memory().release(workspace);
    added.ifPresent(b -> session.done(b, bias.orElseThrow()));
    return done;
  }

  /// The weight as numbers of the products' type, empty if it is so already.
  private Optional<Tensor> slab(CudaLinearWeight weight) {
    if (weight.isDense()) {
      return Optional.empty();
    }
    Tensor slab = session.make(session.product(), Shape.of(weight.elements()));
    decode(weight, 0, weight.elements(), slab, 0);
    return Optional.of(slab);
  }

  /// Decodes elements `[begin, begin + count)`; `begin` a multiple of 16.
  void decode(CudaLinearWeight weight, long begin, long count, Tensor out, long at) {
    launcher
        .begin()
        .address(CudaBuffer.address(out) + out.dtype().byteSize(at))
        .struct(weight.argument())
        .i64(begin)
        .i64(count);
    launcher.run(
        kernels.weights().decode(weight.format(), out.dtype()),
        LaunchShape.of(Math.ceilDiv(count, DECODED_A_BLOCK), Launcher.THREADS));
  }

  /// @param out float32
  void embedding(CudaLinearWeight table, int[] ids, Tensor out) {
    int d = table.inFeatures();
    if (ids.length == 0) {
      return;
    }
    if (!table.isDense() && d % 16 == 0) {
      for (int i = 0; i < ids.length; i++) {
        decode(table, (long) ids[i] * d, d, out, (long) i * d);
      }
      return;
    }
    Optional<Tensor> slab = slab(table);
    Tensor rows = session.upload(ids);
    launcher
        .begin()
        .address(slab.map(CudaBuffer::address).orElse(table.codes()))
        .i32(Launcher.type(session.product()))
        .address(CudaBuffer.address(rows))
        .address(CudaBuffer.address(out))
        .i32(Launcher.type(out))
        .i32(d);
    launcher.run(kernels.embedding(), LaunchShape.of(ids.length, Launcher.THREADS));
    session.memory().release(rows);
    slab.ifPresent(session.memory()::release);
  }

  /// Sizes of a picture, channels aside.
  private record Picture(int items, int height, int width) {}

  /// @param bias float32
  void conv2d(
      Tensor x, CudaLinearWeight weight, Optional<Tensor> bias, Conv2d geometry, Tensor out) {
    if (out.shape().elements() == 0) {
      return;
    }
    Optional<Tensor> slab = slab(weight);
    long dense = slab.map(CudaBuffer::address).orElse(weight.codes());
    Picture picture = new Picture(x.dim(0), x.dim(1), x.dim(2));
    Tensor operand = session.as(session.product(), x);
    if (session.isExact() || x.dim(3) % Launcher.WIDE != 0) {
      exact(operand, picture, geometry, dense, session.product(), bias, out);
    } else {
      launcher
          .begin()
          .address(CudaBuffer.address(operand))
          .address(dense)
          .address(bias.map(CudaBuffer::address).orElse(0L));
      convolve(operand, picture, geometry, out, true);
    }
    session.done(operand, x);
    slab.ifPresent(session.memory()::release);
  }

  private void exact(
      Tensor x,
      Picture picture,
      Conv2d geometry,
      long dense,
      DType weightType,
      Optional<Tensor> bias,
      Tensor out) {
    launcher
        .begin()
        .address(CudaBuffer.address(x))
        .i32(Launcher.type(x))
        .address(dense)
        .i32(Launcher.type(weightType))
        .address(bias.map(CudaBuffer::address).orElse(0L));
    convolve(x, picture, geometry, out, false);
  }

  /// Launches a convolution whose first arguments are there.
  private void convolve(
      Tensor x, Picture picture, Conv2d geometry, Tensor out, boolean isTensorCore) {
    int features = out.dim(-1);
    long pixels = out.shape().elements() / features;
    launcher
        .arguments()
        .address(CudaBuffer.address(out))
        .i32(Launcher.type(out))
        .i64(pixels)
        .i32(features)
        .i32(picture.height())
        .i32(picture.width())
        .i32(x.dim(-1))
        .i32(geometry.outHeight(picture.height()))
        .i32(geometry.outWidth(picture.width()))
        .i32(geometry.kernel())
        .i32(geometry.stride())
        .i32(geometry.top())
        .i32(geometry.left());
    int tile = isTensorCore ? CONV_TILE : EXACT_TILE;
    launcher.run(
        isTensorCore ? kernels.conv().mma() : kernels.conv().f32(),
        LaunchShape.of(Math.ceilDiv(features, tile), Math.ceilDiv(pixels, tile), Launcher.THREADS));
  }
}
