package dev.nibble.runtime.cuda;

import dev.nibble.formats.DType;
import dev.nibble.runtime.tensor.LinearWeight;
import java.lang.foreign.MemorySegment;

/// A matrix in device memory, quantized as it is stored or dense in the type of products.
///
/// @param format how kernels read it
/// @param codes device address of the codes, or of the numbers of a dense weight
/// @param blockSize elements that share a scale; 0 for a dense weight
/// @param argument the struct that kernels take
/// @param queue that brings the numbers
record CudaLinearWeight(
    int outFeatures,
    int inFeatures,
    long byteSize,
    WeightFormat format,
    long codes,
    int blockSize,
    MemorySegment argument,
    WeightQueue queue)
    implements LinearWeight {

  /// Numbers that a warp of the few-rows product takes at once.
  private static final int RUN = 64;

  /// The weight as an operation uses it, once its numbers are on the device.
  static CudaLinearWeight of(LinearWeight weight) {
    if (weight instanceof CudaLinearWeight mine) {
      mine.queue.arrive();
      return mine;
    }
    throw new IllegalArgumentException("a weight of another backend in an operation of a GPU");
  }

  boolean isDense() {
    return format == WeightFormat.BF16 || format == WeightFormat.F32;
  }

  long elements() {
    return (long) outFeatures * inFeatures;
  }

  /// Whether the product of few rows reads it: no block may end within a run of codes, and the
  /// scales of 16 rows must fit shared memory.
  boolean takesFewRows() {
    int run = run();
    return inFeatures % 16 == 0
        && (blockSize == 0
            || blockSize % inFeatures == 0
            || (inFeatures % run == 0 && blockSize % run == 0))
        && fewRowsSharedBytes() <= KernelModules.Weights.SHARED_BYTES;
  }

  private int run() {
    return blockSize % RUN != 0 && blockSize % inFeatures != 0 ? RUN / 2 : RUN;
  }

  /// Dynamic shared memory of the product of few rows.
  int fewRowsSharedBytes() {
    int scale = format == WeightFormat.AFFINE8 ? 2 * Float.BYTES : Float.BYTES;
    return Math.multiplyExact(16 * scale, Math.ceilDiv(inFeatures, run()) | 1);
  }

  /// The type of a dense weight.
  DType denseType() {
    return switch (format) {
      case BF16 -> DType.BF16;
      case F32 -> DType.F32;
      default -> throw new IllegalStateException("a quantized weight has no dense type");
    };
  }
}
