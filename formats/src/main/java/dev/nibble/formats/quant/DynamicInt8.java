package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.ErrorSum;
import dev.nibble.formats.internal.simd.Int8Kernels;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.List;
import java.util.Map;

/// Blockwise 8-bit codes in bitsandbytes' signed dynamic map, as its CPU backend finds them.
///
/// | part | dtype | shape | value |
/// |---|---|---|---|
/// | CODES | U8 | of the weight | by a table of 65,536 steps, nearly the nearest code; 0 if ABSMAX is 0 |
/// | ABSMAX | F32 | `[blocks]` | largest magnitude of the block |
/// | CODEBOOK | F32 | `[256]` | the map |
///
/// Decoded: `CODEBOOK[code] * ABSMAX` in float32. Source: bitsandbytes 0.50, `quantize_blockwise`.
/// Where `1 / ABSMAX` overflows (below 3e-39) its result is undefined; ours then divides.
///
/// @param blockSize elements of a block of the flattened weight
public record DynamicInt8(int blockSize) implements QuantScheme {
  /// The block size that bitsandbytes' `quantize_blockwise` takes by default.
  public static final int DEFAULT_BLOCK_SIZE = 4096;

  private static final int CODES = 256;
  private static final byte ZERO_CODE = 127;

  public DynamicInt8 {
    Blocks.requireSize("bnb8-dynamic", blockSize, 1);
  }

  @Override
  public String id() {
    return blockSize == DEFAULT_BLOCK_SIZE ? "bnb8-dynamic" : "bnb8-dynamic:" + blockSize;
  }

  @Override
  public List<PartSpec> parts(Shape weight) {
    return List.of(
        new PartSpec(Part.CODES, DType.U8, weight),
        new PartSpec(Part.ABSMAX, DType.F32, Shape.of(Blocks.of(blockSize, weight).count())),
        new PartSpec(Part.CODEBOOK, DType.F32, Shape.of(CODES)));
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
  public WeightDecoder decoder(QuantizedTensor tensor) {
    return new Decoder(Blocks.of(blockSize, tensor.shape()), tensor, Int8Kernels.best());
  }

  static final class Encoder extends BlockEncoder {
    private final MemorySegment absmax;
    private final MemorySegment codebook;
    private final float[] values = Codebooks.dynamicMap();
    private final byte[] table = new DynamicTable().codes();

    Encoder(Blocks blocks, DType source, SegmentAllocator statistics, Int8Kernels kernels) {
      super(blocks, source, statistics, kernels);
      absmax = statistics.allocate(blocks.count() * 4, 4);
      codebook = statistics.allocate(CODES * 4L, 4);
      MemorySegment.copy(values, 0, codebook, LittleEndian.FLOAT, 0, values.length);
    }

    @Override
    void measure(float[] x, int from, int to, Block block) {
      block.high = Math.max(block.high, kernels.absmaxBits(x, from, to));
    }

    @Override
    void settle(Block block) {
      float largest = Float.intBitsToFloat(block.high);
      block.scale = largest;
      block.factor = 1f / largest;
      absmax.set(LittleEndian.FLOAT, block.index * 4, Float.isNaN(largest) ? Float.NaN : largest);
    }

    @Override
    void quantize(Work work, int from, int to, MemorySegment codes, long at) {
      Block block = work.block;
      float[] x = work.x;
      float factor = block.factor;
      float scale = block.scale;
      if (scale == 0) {
        // Every number is a zero, and so is what code 0 decodes to.
        codes.asSlice(at, to - from).fill((byte) 0);
        return;
      }
      ErrorSum error = work.error;
      if (Float.isInfinite(factor)) {
        // Squares of such numbers vanish even in float64 sums of ordinary weights: not counted.
        error = new ErrorSum();
        x = work.rounded;
        for (int i = from; i < to; i++) {
          x[i] = work.x[i] / scale;
        }
        factor = 1;
        scale = 1;
      }
      kernels.lookUp(x, from, to, factor, scale, table, values, work.decoded, codes, at, error);
    }

    @Override
    byte blankCode() {
      return ZERO_CODE;
    }

    @Override
    Map<Part, MemorySegment> parts() {
      return Map.of(Part.ABSMAX, absmax, Part.CODEBOOK, codebook);
    }
  }

  static final class Decoder extends BlockDecoder {
    private final MemorySegment absmax;
    private final float[] values;

    Decoder(Blocks blocks, QuantizedTensor tensor, Int8Kernels kernels) {
      super(blocks, tensor, kernels);
      this.absmax = tensor.part(Part.ABSMAX);
      this.values = new float[CODES];
      MemorySegment.copy(
          tensor.part(Part.CODEBOOK), LittleEndian.FLOAT, 0, values, 0, values.length);
    }

    @Override
    void decodeBlock(long block, long at, float[] out, int from, int to) {
      float scale = absmax.get(LittleEndian.FLOAT, block * 4);
      kernels.decodeLookUp(codes, at, values, scale, out, from, to);
    }
  }
}
