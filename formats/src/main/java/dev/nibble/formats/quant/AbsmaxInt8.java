package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.Int8Kernels;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Linear absmax int8 over blocks of the flattened weight.
///
/// | part | dtype | shape | value |
/// |---|---|---|---|
/// | CODES | I8 | of the weight | `clamp(rint(w / SCALE), -127, 127)`, ties to even; 0 if SCALE is 0 |
/// | SCALE | F32 | `[blocks]` | largest magnitude of the block / 127 |
///
/// Decoded: `code * SCALE` in float32.
///
/// @param blockSize elements of a block; 0 is one block a row of the last axis
public record AbsmaxInt8(int blockSize) implements QuantScheme {
  public AbsmaxInt8 {
    Blocks.requireSize("absmax8", blockSize, 0);
  }

  @Override
  public String id() {
    return blockSize == 0 ? "absmax8" : "absmax8:" + blockSize;
  }

  @Override
  public List<PartSpec> parts(Shape weight) {
    return List.of(
        new PartSpec(Part.CODES, DType.I8, weight),
        new PartSpec(Part.SCALE, DType.F32, Shape.of(Blocks.of(blockSize, weight).count())));
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
    return IntegerGrid.fits(blockSize, weight)
        ? Optional.of(new SignedGrid(blockSize, false, weight, statistics))
        : Optional.empty();
  }

  @Override
  public WeightDecoder decoder(QuantizedTensor tensor) {
    return new Decoder(Blocks.of(blockSize, tensor.shape()), tensor, Int8Kernels.best());
  }

  static final class Encoder extends BlockEncoder {
    private final MemorySegment scales;

    Encoder(Blocks blocks, DType source, SegmentAllocator statistics, Int8Kernels kernels) {
      super(blocks, source, statistics, kernels);
      scales = statistics.allocate(blocks.count() * 4, 4);
    }

    @Override
    void measure(float[] x, int from, int to, Block block) {
      block.high = Math.max(block.high, kernels.absmaxBits(x, from, to));
    }

    @Override
    void settle(Block block) {
      float scale = Float.intBitsToFloat(block.high) / 127f;
      scales.set(LittleEndian.FLOAT, block.index * 4, Float.isNaN(scale) ? Float.NaN : scale);
      // A zero scale gives zero codes, as any finite divisor of zeros and denormals then does.
      block.scale = scale;
    }

    @Override
    void quantize(Work work, int from, int to, MemorySegment codes, long at) {
      float scale = work.block.scale;
      if (scale == 0) {
        kernels.multiply(work.x, work.x, from, to, 0, 0, 1, codes, at, work.error);
      } else {
        kernels.divide(work.x, from, to, scale, codes, at, work.error);
      }
    }

    @Override
    byte blankCode() {
      return 0;
    }

    @Override
    Map<Part, MemorySegment> parts() {
      return Map.of(Part.SCALE, scales);
    }
  }

  static final class Decoder extends BlockDecoder {
    private final MemorySegment scales;

    Decoder(Blocks blocks, QuantizedTensor tensor, Int8Kernels kernels) {
      super(blocks, tensor, kernels);
      this.scales = tensor.part(Part.SCALE);
    }

    @Override
    void decodeBlock(long block, long at, float[] out, int from, int to) {
      float scale = scales.get(LittleEndian.FLOAT, block * 4);
      kernels.decodeSigned(codes, at, scale, 1, out, from, to);
    }
  }
}
