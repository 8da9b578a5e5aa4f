package dev.nibble.runtime.cuda;

import dev.nibble.formats.DType;
import dev.nibble.runtime.cuda.driver.CudaStream;
import dev.nibble.runtime.cuda.driver.Kernel;
import dev.nibble.runtime.cuda.driver.KernelArguments;
import dev.nibble.runtime.cuda.driver.LaunchShape;
import dev.nibble.runtime.tensor.Tensor;
import java.lang.foreign.Arena;

/// Puts kernels into the stream of one session. For one thread.
///
/// ```java
/// launcher.begin().address(x).i32(rows);
/// launcher.run(kernel, LaunchShape.of(rows, Launcher.THREADS));
/// ```
final class Launcher implements AutoCloseable {
  /// Threads of a block, as `kThreads` of the kernels.
  static final int THREADS = 256;

  /// Numbers of an access of 16 bytes of bfloat16.
  static final int WIDE = 8;

  private static final int BLOCKS_A_MULTIPROCESSOR = 16;

  private final CudaStream stream;
  private final Arena arena = Arena.ofShared();
  private final KernelArguments arguments = new KernelArguments(arena);
  private final int mostBlocks;

  Launcher(CudaStream stream) {
    this.stream = stream;
    this.mostBlocks = BLOCKS_A_MULTIPROCESSOR * stream.device().info().multiprocessors();
  }

  CudaStream stream() {
    return stream;
  }

  /// Empty arguments of the next launch.
  KernelArguments begin() {
    return arguments.clear();
  }

  /// The arguments so far, to add to.
  KernelArguments arguments() {
    return arguments;
  }

  /// Launches with the arguments since {@link #begin}.
  void run(Kernel kernel, LaunchShape shape) {
    stream.launch(kernel, shape, arguments);
  }

  /// Blocks for a loop over elements, as many as keep the device busy.
  ///
  /// @param width elements that a thread takes at once
  LaunchShape elements(long count, int width) {
    long blocks = Math.ceilDiv(count, (long) THREADS * width);
    return LaunchShape.of(Math.clamp(blocks, 1, mostBlocks), THREADS);
  }

  /// How a kernel names an element type.
  static int type(DType dtype) {
    return switch (dtype) {
      case F32 -> 0;
      case BF16 -> 1;
      default -> throw new IllegalArgumentException("a tensor of " + dtype + " on a GPU");
    };
  }

  static int type(Tensor x) {
    return type(x.dtype());
  }

  /// {@link #WIDE} if kernels may access that many numbers at once, else 1.
  ///
  /// @param row numbers that lie together in every operand
  static int width(long row, Tensor... operands) {
    if (row % WIDE != 0) {
      return 1;
    }
    for (Tensor operand : operands) {
      if (CudaBuffer.address(operand) % 16 != 0) {
        return 1;
      }
    }
    return WIDE;
  }

  @Override
  public void close() {
    arena.close();
  }
}
