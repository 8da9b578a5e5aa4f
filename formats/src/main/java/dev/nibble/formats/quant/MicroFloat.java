package dev.nibble.formats.quant;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.internal.simd.Int8Kernels;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// 4-bit floats with an 8-bit scale for each small block. Only read.
///
/// | part | NVFP4 | MXFP4 |
/// |---|---|---|
/// | CODES | U8 `[n/2]`, two E2M1 a byte, the first in the low bits | same |
/// | SCALE | F8_E4M3, one for 16 elements | F8_E8M0, one for 32: `2^(e - 127)` |
/// | GLOBAL_SCALE | F32 `[1]`, a divisor | |
///
/// Decoded in float32: `code * (SCALE / GLOBAL_SCALE)`, and `code * SCALE`. Sources:
/// compressed-tensors `fp4_quantized.py`; OCP Microscaling Formats 1.0.
///
/// @param kind which of the two
public record MicroFloat(Kind kind) implements QuantScheme {
  /// E2M1: 1 sign, 2 exponent, 1 mantissa bit.
  private static final float[] MAGNITUDES = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};

  /// The formats.
  public enum Kind {
    NVFP4(16, DType.F8_E4M3),
    MXFP4(32, DType.F8_E8M0);

    private final int blockSize;
    private final DType scale;

    Kind(int blockSize, DType scale) {
      this.blockSize = blockSize;
      this.scale = scale;
    }

    /// Elements that share a scale.
    public int blockSize() {
      return blockSize;
    }
  }

  @Override
  public String id() {
    return kind.name().toLowerCase(Locale.ROOT);
  }

  @Override
  public List<PartSpec> parts(Shape weight) {
    Shape blocks = Shape.of(Blocks.of(kind.blockSize, weight).count());
    List<PartSpec> parts = new ArrayList<>();
    parts.add(new PartSpec(Part.CODES, DType.U8, Shape.of(codeBytes(weight.elements()))));
    parts.add(new PartSpec(Part.SCALE, kind.scale, blocks));
    if (kind == Kind.NVFP4) {
      parts.add(new PartSpec(Part.GLOBAL_SCALE, DType.F32, Shape.of(1)));
    }
    return List.copyOf(parts);
  }

  @Override
  public long sliceAlignment(Shape weight) {
    return Blocks.of(kind.blockSize, weight).span();
  }

  @Override
  public long codeBytes(long elements) {
    return Math.ceilDiv(elements, 2);
  }

  /// @throws UnsupportedOperationException always
  @Override
  public WeightEncoder encoder(Shape weight, DType source, SegmentAllocator statistics) {
    throw new UnsupportedOperationException(id() + " is only read");
  }

  @Override
  public WeightDecoder decoder(QuantizedTensor tensor) {
    return new Decoder(kind, tensor);
  }

  private static final class Decoder extends BlockDecoder {
    private final Kind kind;
    private final MemorySegment scales;
    private final float divisor;
    private final FloatReader eightBit = FloatReader.of(DType.F8_E4M3);

    Decoder(Kind kind, QuantizedTensor tensor) {
      super(Blocks.of(kind.blockSize, tensor.shape()), tensor, Int8Kernels.best());
      this.kind = kind;
      this.scales = tensor.part(Part.SCALE);
      this.divisor =
          kind == Kind.NVFP4 ? tensor.part(Part.GLOBAL_SCALE).get(LittleEndian.FLOAT, 0) : 1;
    }

    @Override
    void decodeBlock(long block, long at, float[] out, int from, int to) {
      float scale = scale(block);
      for (int i = from; i < to; i++) {
        long element = at + i - from;
        int code = codes.get(JAVA_BYTE, element >> 1) >>> (int) (4 * (element & 1));
        float magnitude = MAGNITUDES[code & 7];
        out[i] = ((code & 8) == 0 ? magnitude : -magnitude) * scale;
      }
    }

    private float scale(long block) {
      return switch (kind) {
        case NVFP4 -> {
          float[] one = new float[1];
          eightBit.read(scales, block, one, 1);
          yield one[0] / divisor;
        }
        case MXFP4 -> {
          int exponent = Byte.toUnsignedInt(scales.get(JAVA_BYTE, block));
          yield exponent == 255 ? Float.NaN : Math.scalb(1f, exponent - 127);
        }
      };
    }
  }
}
