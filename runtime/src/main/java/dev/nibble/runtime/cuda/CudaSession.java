package dev.nibble.runtime.cuda;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.runtime.cuda.cublas.CublasLt;
import dev.nibble.runtime.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;

/// What the operations of one session compute with. For one thread.
///
/// @param kernels of the device
/// @param launcher into the session's stream
/// @param memory of the session
/// @param staging between the host's arrays and the device
/// @param blas NVIDIA's dense products, where they are installed
/// @param product type that products take and norms give: BF16, or F32 in the exact mode
record CudaSession(
    KernelModules kernels,
    Launcher launcher,
    CudaMemory memory,
    HostStaging staging,
    Optional<CublasLt> blas,
    DType product)
    implements AutoCloseable {

  boolean isExact() {
    return product == DType.F32;
  }

  Tensor make(DType dtype, Shape shape) {
    return memory.make(dtype, shape);
  }

  /// The type of an element-wise result: BF16 if all operands are, else F32.
  static DType widest(List<Tensor> operands) {
    for (Tensor operand : operands) {
      if (operand.dtype() != DType.BF16) {
        return DType.F32;
      }
    }
    return DType.BF16;
  }

  /// The tensor in that type: itself, or a copy that {@link #done} gives back.
  Tensor as(DType dtype, Tensor x) {
    if (x.dtype() == dtype) {
      return x;
    }
    Tensor copy = make(dtype, x.shape());
    convert(x, copy);
    return copy;
  }

  /// Gives back what {@link #as} made: kernels that read it are in the stream already.
  void done(Tensor converted, Tensor original) {
    if (converted.dtype() != original.dtype()) {
      memory.release(converted);
    }
  }

  /// Whole numbers on the device, in a tensor of as many elements.
  Tensor upload(int[] numbers) {
    return copyIn(numbers, make(DType.F32, Shape.of(numbers.length)));
  }

  /// Whole numbers on the device until the session closes.
  Tensor uploadForSession(int[] numbers) {
    return copyIn(numbers, memory.makeForSession(DType.F32, Shape.of(numbers.length)));
  }

  private Tensor copyIn(int[] numbers, Tensor to) {
    MemorySegment host = staging.get((long) Integer.BYTES * numbers.length);
    MemorySegment.copy(numbers, 0, host, ValueLayout.JAVA_INT, 0, numbers.length);
    launcher.stream().copyIn(CudaBuffer.address(to), host);
    return to;
  }

  /// Copies elements to a tensor of another type and the same size.
  void convert(Tensor from, Tensor to) {
    affine(from, 1, 0, to);
  }

  /// `to = from · factor + addend`.
  void affine(Tensor from, float factor, float addend, Tensor to) {
    long count = from.shape().elements();
    int width = Launcher.width(count, from, to);
    launcher
        .begin()
        .address(CudaBuffer.address(from))
        .i32(Launcher.type(from))
        .f32(factor)
        .f32(addend)
        .address(CudaBuffer.address(to))
        .i32(Launcher.type(to))
        .i64(count)
        .i32(width);
    launcher.run(kernels.elementwise().affine(), launcher.elements(count, width));
  }

  /// Ends the stream, which has been waited for, and what belongs to it.
  @Override
  public void close() {
    staging.close();
    launcher.stream().close();
    launcher.close();
  }
}
