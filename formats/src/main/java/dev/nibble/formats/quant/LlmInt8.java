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

/// LLM.int8: one scale a row, through fp16 whatever the source, as bitsandbytes stores it.
///
/// | part | dtype | shape | value |
/// |---|---|---|---|
/// | CODES | I8 | `[out, in]` | `rint(f16(w) * ((1 / SCALE) * 127))`, ties to even |
/// | SCALE | F32 | `[out]` | largest magnitude of the row (`SCB`) |
///
/// Decoded: `code * SCALE * 0.007874015718698502` in float32, left to right. Source: bitsandbytes
/// 0.50, `Int8Params._quantize`, `int8_vectorwise_quant` (torch computes 127/x as (1/x)*127).
public record LlmInt8() implements QuantScheme {
  /// bitsandbytes' 0.007874015718698502, which is 1/127 in float32.
  static final float DECODE = 1f / 127f;

  @Override
  public String id() {
    return "int8";
  }

  @Override
  public List<PartSpec> parts(Shape weight) {
    return List.of(
        new PartSpec(Part.CODES, DType.I8, weight),
        new PartSpec(Part.SCALE, DType.F32, Shape.of(Blocks.of(0, weight).count())));
  }

  @Override
  public long sliceAlignment(Shape weight) {
    return Blocks.of(0, weight).span();
  }

  @Override
  public long codeBytes(long elements) {
    return elements;
  }

  @Override
  public WeightEncoder encoder(Shape weight, DType source, SegmentAllocator statistics) {
    return new Encoder(weight, source, statistics, Int8Kernels.best(), true);
  }

  @Override
  public Optional<GridEncoder> grid(Shape weight, SegmentAllocator statistics) {
    return IntegerGrid.fits(0, weight)
        ? Optional.of(new SignedGrid(0, true, weight, statistics))
        : Optional.empty();
  }

  @Override
  public WeightDecoder decoder(QuantizedTensor tensor) {
    return new Decoder(tensor, Int8Kernels.best());
  }

  static final class Encoder extends BlockEncoder {
    private final MemorySegment scales;
    private final boolean half;
    private final DType source;

    /// @param half whether values pass through fp16, as in every file; the bare function of
    ///   bitsandbytes does without
    Encoder(
        Shape weight,
        DType source,
        SegmentAllocator statistics,
        Int8Kernels kernels,
        boolean half) {
      super(Blocks.of(0, weight), source, statistics, kernels);
      this.scales = statistics.allocate(Blocks.of(0, weight).count() * 4, 4);
      this.half = half;
      this.source = source;
    }

    @Override
    int limitBits() {
      // What rounds to infinity in fp16: half a step above the largest number.
      return half ? Float.floatToRawIntBits(65520f) : super.limitBits();
    }

    @Override
    void measure(float[] x, int from, int to, Block block) {
      block.high = Math.max(block.high, kernels.absmaxBits(x, from, to));
    }

    @Override
    void settle(Block block) {
      float absmax = Float.intBitsToFloat(block.high);
      // Rounding keeps order: the largest rounded magnitude is the largest one rounded.
      float scale = half ? Float.float16ToFloat(Float.floatToFloat16(absmax)) : absmax;
      block.scale = scale;
      block.factor = scale == 0 ? 0 : 1f / scale * 127f;
      scales.set(LittleEndian.FLOAT, block.index * 4, Float.isNaN(scale) ? Float.NaN : scale);
    }

    @Override
    void quantize(Work work, int from, int to, MemorySegment codes, long at) {
      float[] rounded = work.x;
      if (half && !isRoundingIdle(work.block.scale)) {
        rounded = work.rounded;
        kernels.throughHalf(work.x, from, to, rounded);
      }
      Block block = work.block;
      kernels.multiply(
          work.x, rounded, from, to, block.factor, block.scale, DECODE, codes, at, work.error);
    }

    /// Whether rounding to fp16 changes no code: always of an fp16 source, and of a BF16 source
    /// where what it changes has code 0 before and after. fp16 holds the 8 digits of a BF16 number
    /// from 2^-17 on, below its step is 2^-24. In a row of absmax 2^-9 or more, 2^-17 is less than
    /// half a code: 2^-17 / 2^-9 * 127 < 0.5.
    private boolean isRoundingIdle(float scale) {
      return source == DType.F16 || (source == DType.BF16 && scale >= 0x1p-9f);
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

    Decoder(QuantizedTensor tensor, Int8Kernels kernels) {
      super(Blocks.of(0, tensor.shape()), tensor, kernels);
      this.scales = tensor.part(Part.SCALE);
    }

    @Override
    void decodeBlock(long block, long at, float[] out, int from, int to) {
      float scale = scales.get(LittleEndian.FLOAT, block * 4);
      kernels.decodeSigned(codes, at, scale, DECODE, out, from, to);
    }
  }
}
