package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.internal.simd.FloatWriter;
import dev.nibble.formats.internal.simd.Fp8Kernel;
import dev.nibble.formats.internal.simd.Int8Kernels;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

/// Makes 8-bit floats. With one scale for the whole weight, all of it is seen before the first code
/// is made. Numbers that aren't finite are cast as torch does it and add nothing to the error.
final class Fp8Encoder extends BlockEncoder {
  private static final int BUFFER = 8192;

  private final Fp8 scheme;
  private final MemorySegment scales;
  private final FloatReader reader;
  private final FloatWriter writer;
  private final Fp8Kernel kernel;
  private final AtomicInteger absmaxBits = new AtomicInteger();

  Fp8Encoder(
      Fp8 scheme, Shape weight, DType source, SegmentAllocator statistics, Int8Kernels kernels) {
    super(scheme.blocks(weight), source, statistics, kernels);
    this.scheme = scheme;
    this.scales =
        scheme.scaling() == Fp8.Scaling.NONE
            ? MemorySegment.NULL
            : statistics.allocate(scheme.parts(weight).getLast().byteSize(), 4);
    this.reader = FloatReader.of(source);
    this.writer = FloatWriter.of(scheme.type().dtype());
    this.kernel = Fp8Kernel.of(scheme.type().dtype());
  }

  @Override
  public boolean surveys() {
    return scheme.scaling() == Fp8.Scaling.TENSOR;
  }

  @Override
  public void survey(long begin, long count, MemorySegment slice) {
    float[] x = new float[(int) Math.min(count, BUFFER)];
    int largest = 0;
    for (long at = 0; at < count; at += BUFFER) {
      int length = (int) Math.min(BUFFER, count - at);
      reader.read(slice, at, x, length);
      int bits = kernels.absmaxBits(x, 0, length);
      if (bits >= limitBits()) {
        // Told here, as it makes the scale infinite, and so all blocks alike.
        tellNonFinite(x, 0, length, begin + at);
      }
      largest = Math.max(largest, bits);
    }
    absmaxBits.accumulateAndGet(largest, Math::max);
  }

  @Override
  int limitBits() {
    // Without a scale, what E5M2 rounds to infinity.
    boolean overflows = scheme.scaling() == Fp8.Scaling.NONE && scheme.type() == Fp8Type.E5M2;
    return overflows ? Float.floatToRawIntBits(61440f) : super.limitBits();
  }

  @Override
  void measure(float[] x, int from, int to, Block block) {
    // One scale for all of the weight: its largest magnitude is known, and stands for the block's.
    block.high =
        surveys() ? absmaxBits.get() : Math.max(block.high, kernels.absmaxBits(x, from, to));
  }

  @Override
  void settle(Block block) {
    switch (scheme.scaling()) {
      case NONE -> block.scale = 1;
      case TENSOR -> block.scale = scale(absmaxBits.get());
      case ROW -> {
        block.scale = scale(block.high);
        ScaleType.set(scales, block.index, block.scale, scheme.scale());
      }
      case TILE -> throw new AssertionError(scheme.id() + " is only read");
    }
    // Unlike a sum of squares, a cast can take what isn't finite; not so a scale that isn't.
    block.finite = Float.isFinite(block.scale);
  }

  private float scale(int largestBits) {
    float exact = Float.intBitsToFloat(largestBits) / scheme.type().largest();
    return ScaleType.round(exact, scheme.scale());
  }

  @Override
  void quantize(Work work, int from, int to, MemorySegment codes, long at) {
    if (work.block.high < limitBits()) {
      kernel.encode(work.x, from, to, work.block.scale, codes, at, work.error);
      return;
    }
    // Only a plain cast comes here.
    System.arraycopy(work.x, from, work.rounded, 0, to - from);
    writer.write(work.rounded, to - from, codes, at);
  }

  /// NaN, in both types.
  @Override
  byte blankCode() {
    return 0x7f;
  }

  @Override
  Map<Part, MemorySegment> parts() {
    return switch (scheme.scaling()) {
      case NONE -> Map.of();
      case TENSOR -> {
        ScaleType.set(scales, 0, scale(absmaxBits.get()), scheme.scale());
        yield Map.of(Part.SCALE, scales);
      }
      case ROW, TILE -> Map.of(Part.SCALE, scales);
    };
  }
}
