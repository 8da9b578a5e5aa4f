package dev.nibble.formats.quant;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.Int8Kernels;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Linear uint8 with scale and zero point over blocks of the flattened weight. With `lo = min(0,
/// min w)` and `hi = max(0, max w)` of the block:
///
/// | part | dtype | shape | value |
/// |---|---|---|---|
/// | CODES | U8 | of the weight | `clamp(rint(w / SCALE) + ZERO_POINT, 0, 255)`; 0 if SCALE is 0 |
/// | SCALE | F32 | `[blocks]` | `(hi - lo) / 255` |
/// | ZERO_POINT | U8 | `[blocks]` | `clamp(rint(-lo / SCALE), 0, 255)`; 0 if SCALE is 0 |
///
/// Decoded: `(code - ZERO_POINT) * SCALE` in float32. All ties go to even.
///
/// @param blockSize elements of a block; 0 is one block a row of the last axis
public record AffineInt8(int blockSize) implements QuantScheme {
  public AffineInt8 {
    Blocks.requireSize("affine8", blockSize, 0);
  }

  @Override
  public String id() {
    return blockSize == 0 ? "affine8" : "affine8:" + blockSize;
  }

  @Override
  public List<PartSpec> parts(Shape weight) {
    Shape statistics = Shape.of(Blocks.of(blockSize, weight).count());
    return List.of(
        new PartSpec(Part.CODES, DType.U8, weight),
        new PartSpec(Part.SCALE, DType.F32, statistics),
        new PartSpec(Part.ZERO_POINT, DType.U8, statistics));
  }

  @Override
  public long sliceAlignment(Shape weight) {
    return Blocks.of(blockSize, weight).span();
  }

  @Override
  public long codeBytes(long elements) {
    return elements;
  }

  @Override
  public WeightEncoder encoder(Shape weight, DType source, SegmentAllocator statistics) {
    return new Encoder(Blocks.of(blockSize, weight), source, statistics, Int8Kernels.best());
  }

  @Override
  public Optional<GridEncoder> grid(Shape weight, SegmentAllocator statistics) {
    if (!IntegerGrid.fits(blockSize, weight)) {
      return Optional.empty();
    }
    GroupedInt same = new GroupedInt(8, blockSize, false, DType.F32);
    return Optional.of(new AffineGrid(same, false, weight, statistics));
  }

  @Override
  public WeightDecoder decoder(QuantizedTensor tensor) {
    return new Decoder(Blocks.of(blockSize, tensor.shape()), tensor, Int8Kernels.best());
  }

  static final class Encoder extends BlockEncoder {
    private final MemorySegment scales;
    private final MemorySegment zeroPoints;

    Encoder(Blocks blocks, DType source, SegmentAllocator statistics, Int8Kernels kernels) {
      super(blocks, source, statistics, kernels);
      scales = statistics.allocate(blocks.count() * 4, 4);
      zeroPoints = statistics.allocate(blocks.count(), 1);
    }

    @Override
    void measure(float[] x, int from, int to, Block block) {
      long range = kernels.rangeBits(x, from, to);
      block.high = Math.max(block.high, (int) (range >>> 32));
      block.low = Math.max(block.low, (int) range);
    }

    @Override
    void settle(Block block) {
      float depth = Float.intBitsToFloat(block.low);
      float scale = (Float.intBitsToFloat(block.high) + depth) / 255f;
      block.finite &= Float.isFinite(scale);
      block.scale = scale;
      block.zero =
          block.finite && scale != 0 ? Math.clamp((long) Math.rint(depth / scale), 0, 255) : 0;
      scales.set(LittleEndian.FLOAT, block.index * 4, Float.isNaN(scale) ? Float.NaN : scale);
      zeroPoints.set(JAVA_BYTE, block.index, (byte) block.zero);
    }

    @Override
    void quantize(Work work, int from, int to, MemorySegment codes, long at) {
      float scale = work.block.scale;
      if (scale == 0) {
        kernels.multiply(work.x, work.x, from, to, 0, 0, 1, codes, at, work.error);
      } else {
        kernels.affine(work.x, from, to, scale, work.block.zero, 255, codes, at, work.error);
      }
    }

    @Override
    byte blankCode() {
      return 0;
    }

    @Override
    Map<Part, MemorySegment> parts() {
      return Map.of(Part.SCALE, scales, Part.ZERO_POINT, zeroPoints);
    }
  }

  static final class Decoder extends BlockDecoder {
    private final MemorySegment scales;
    private final MemorySegment zeroPoints;
    private final int flip;

    Decoder(Blocks blocks, QuantizedTensor tensor, Int8Kernels kernels) {
      super(blocks, tensor, kernels);
      this.scales = tensor.part(Part.SCALE);
      this.zeroPoints = tensor.part(Part.ZERO_POINT);
      this.flip = tensor.layout() == PartLayout.SIGNED ? 0x80 : 0;
    }

    @Override
    void decodeBlock(long block, long at, float[] out, int from, int to) {
      float scale = scales.get(LittleEndian.FLOAT, block * 4);
      int zero = Byte.toUnsignedInt(zeroPoints.get(JAVA_BYTE, block)) ^ flip;
      kernels.decodeAffine(codes, at, flip, zero, scale, out, from, to);
    }
  }
}
