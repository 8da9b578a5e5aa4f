package dev.nibble.runtime.cuda;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.runtime.cuda.driver.LaunchShape;
import dev.nibble.runtime.tensor.RopeTable;
import dev.nibble.runtime.tensor.Tensor;
import java.util.Optional;

/// Launches of `norm.cu` and `group_norm.cu`; operands are checked already, and weights, scales,
/// shifts, gates and angles are float32.
final class CudaNorms {
  /// Rows up to this many numbers go to 16 lanes each instead of a block.
  private static final int HEAD = 256;

  private static final int HEADS_A_BLOCK = Launcher.THREADS / 16;
  private static final int MOST_PARTS = 1024;

  private final CudaSession session;
  private final Launcher launcher;
  private final KernelModules kernels;

  CudaNorms(CudaSession session) {
    this.session = session;
    launcher = session.launcher();
    kernels = session.kernels();
  }

  private static long address(Optional<Tensor> x) {
    return x.map(CudaBuffer::address).orElse(0L);
  }

  private static int rows(Tensor x) {
    return Math.toIntExact(x.shape().elements() / x.dim(-1));
  }

  /// @param scale of the modulation, one row an item of the batch
  void rms(Tensor x, Optional<Tensor> weight, Optional<Tensor> scale, float eps, Tensor out) {
    if (x.shape().elements() == 0) {
      return;
    }
    int d = x.dim(-1);
    int rows = rows(x);
    boolean heads = d <= HEAD;
    launcher
        .begin()
        .address(CudaBuffer.address(x))
        .i32(Launcher.type(x))
        .address(address(weight))
        .address(address(scale))
        .address(CudaBuffer.address(out))
        .i32(Launcher.type(out))
        .i32(rows)
        .i32(d)
        .i32(scale.isPresent() ? x.dim(1) : rows)
        .f32(eps)
        .i32(heads ? 1 : 0)
        .i32(Launcher.width(d, x, weight.orElse(x), scale.orElse(x), out));
    launcher.run(
        kernels.norm().rms(),
        LaunchShape.of(heads ? Math.ceilDiv(rows, HEADS_A_BLOCK) : rows, Launcher.THREADS));
  }

  /// @param scale of the modulation, one row an item of the batch; `shift` likewise
  void layer(Tensor x, Optional<Tensor> scale, Optional<Tensor> shift, float eps, Tensor out) {
    if (x.shape().elements() == 0) {
      return;
    }
    int d = x.dim(-1);
    int rows = rows(x);
    launcher
        .begin()
        .address(CudaBuffer.address(x))
        .i32(Launcher.type(x))
        .address(address(scale))
        .address(address(shift))
        .address(CudaBuffer.address(out))
        .i32(Launcher.type(out))
        .i32(rows)
        .i32(d)
        .i32(scale.isPresent() ? x.dim(1) : rows)
        .f32(eps)
        .i32(Launcher.width(d, x, scale.orElse(x), shift.orElse(x), out));
    launcher.run(kernels.norm().layer(), LaunchShape.of(rows, Launcher.THREADS));
  }

  /// `x + gate · norm(y)`, without a gate `x + norm(y)`.
  void addRms(Tensor x, Optional<Tensor> gate, Tensor y, Tensor weight, float eps, Tensor out) {
    if (x.shape().elements() == 0) {
      return;
    }
    int d = x.dim(-1);
    int rows = rows(x);
    launcher
        .begin()
        .address(CudaBuffer.address(x))
        .i32(Launcher.type(x))
        .address(CudaBuffer.address(y))
        .i32(Launcher.type(y))
        .address(CudaBuffer.address(weight))
        .address(address(gate))
        .address(CudaBuffer.address(out))
        .i32(Launcher.type(out))
        .i32(rows)
        .i32(d)
        .i32(gate.isPresent() ? x.dim(1) : rows)
        .f32(eps)
        .i32(Launcher.width(d, x, y, weight, gate.orElse(x), out));
    launcher.run(kernels.norm().addRms(), LaunchShape.of(rows, Launcher.THREADS));
  }

  /// Whether {@link #rmsRope} takes these operands.
  static boolean takesRope(Tensor x, Tensor weight, RopeTable table) {
    return x.dim(3) % 16 == 0
        && weight.dtype() == DType.F32
        && table.cos().dtype() == DType.F32
        && table.sin().dtype() == DType.F32
        && Launcher.width(x.dim(3), x, weight, table.cos(), table.sin()) == Launcher.WIDE;
  }

  /// Norm of each head, then its turn.
  void rmsRope(Tensor x, Tensor weight, float eps, RopeTable table, Tensor out) {
    if (x.shape().elements() == 0) {
      return;
    }
    int d = x.dim(3);
    int rows = rows(x);
    launcher
        .begin()
        .address(CudaBuffer.address(x))
        .i32(Launcher.type(x))
        .address(CudaBuffer.address(weight))
        .address(CudaBuffer.address(table.cos()))
        .address(CudaBuffer.address(table.sin()))
        .address(CudaBuffer.address(out))
        .i32(Launcher.type(out))
        .i32(rows)
        .i32(d)
        .i32(x.dim(2))
        .i32(Math.toIntExact(table.cos().shape().elements() / (d / 2)))
        .i32(CudaElementwise.code(table.pairs()))
        .f32(eps);
    launcher.run(
        kernels.norm().rmsRope(),
        LaunchShape.of(Math.ceilDiv(rows, HEADS_A_BLOCK), Launcher.THREADS));
  }

  void group(
      Tensor x, int groups, Tensor weight, Tensor bias, float eps, boolean silu, Tensor out) {
    if (x.shape().elements() == 0) {
      return;
    }
    int items = x.dim(0);
    int channels = x.dim(3);
    int positions = x.dim(1) * x.dim(2);
    int parts = Math.clamp(positions / 64, 1, MOST_PARTS);
    // Doubles, as pairs of floats.
    Tensor sums = session.make(DType.F32, Shape.of(items, parts, 2, channels, 2));
    Tensor factors = session.make(DType.F32, Shape.of(items, 2, channels));
    int width = Launcher.width(channels, x, out);
    launcher
        .begin()
        .address(CudaBuffer.address(x))
        .i32(Launcher.type(x))
        .address(CudaBuffer.address(sums))
        .i32(positions)
        .i32(channels)
        .i32(width);
    launcher.run(kernels.groupNorm().sums(), LaunchShape.of(parts, items, Launcher.THREADS));
    launcher
        .begin()
        .address(CudaBuffer.address(sums))
        .address(CudaBuffer.address(weight))
        .address(CudaBuffer.address(bias))
        .address(CudaBuffer.address(factors))
        .i32(parts)
        .i32(positions)
        .i32(channels)
        .f32(eps);
    launcher.run(kernels.groupNorm().factors(), LaunchShape.of(groups, items, Launcher.THREADS));
    long count = x.shape().elements();
    launcher
        .begin()
        .address(CudaBuffer.address(x))
        .i32(Launcher.type(x))
        .address(CudaBuffer.address(factors))
        .i32(silu ? 1 : 0)
        .address(CudaBuffer.address(out))
        .i32(Launcher.type(out))
        .i64(count)
        .i64((long) positions * channels)
        .i32(channels)
        .i32(width);
    launcher.run(kernels.groupNorm().apply(), launcher.elements(count, width));
    session.memory().release(sums);
    session.memory().release(factors);
  }
}
