package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.Int8Kernels;
import java.lang.foreign.SegmentAllocator;
import java.util.ArrayList;
import java.util.List;

/// 8-bit floats, plain or scaled so that the largest magnitude becomes the type's largest number.
///
/// | part | dtype | shape | value |
/// |---|---|---|---|
/// | CODES | F8_E4M3, F8_E5M2 | of the weight | `w / SCALE`, rounded as torch casts |
/// | SCALE | of `scale` | `[]`, `[rows]` or `[ceil(out/128), ceil(in/128)]`; none of {@link Scaling#NONE} | `absmax / largest` |
///
/// Decoded: `code * SCALE` in float32. Sources: ComfyUI's `QUANTIZATION.md`, compressed-tensors
/// `float-quantized`.
///
/// @param type the float
/// @param scaling what shares a scale
/// @param scale dtype of SCALE: F32, BF16 or F16
public record Fp8(Fp8Type type, Scaling scaling, DType scale) implements QuantScheme {
  /// Side of the tiles of {@link Scaling#TILE}.
  static final int TILE = 128;

  /// What shares a scale.
  public enum Scaling {
    /// Nothing: a cast.
    NONE,
    /// The whole weight.
    TENSOR,
    /// A row of the last axis.
    ROW,
    /// A square of 128 rows and columns of a matrix. Only read.
    TILE
  }

  public Fp8 {
    ScaleType.require(scale);
    if (scaling == Scaling.NONE && scale != DType.F32) {
      throw new IllegalArgumentException("a plain cast has no scales");
    }
  }

  /// `fp8`, `fp8:row`, `fp8:plain`, `fp8-e5m2`, `fp8:row:bf16`.
  @Override
  public String id() {
    return (type == Fp8Type.E4M3 ? "fp8" : "fp8-e5m2")
        + switch (scaling) {
          case NONE -> ":plain";
          case TENSOR -> "";
          case ROW -> ":row";
          case TILE -> ":tile";
        }
        + (scale == DType.F32 ? "" : ":" + ScaleType.word(scale));
  }

  /// The same with scales of another type.
  public Fp8 withScale(DType dtype) {
    return scaling == Scaling.NONE ? this : new Fp8(type, scaling, dtype);
  }

  @Override
  public List<PartSpec> parts(Shape weight) {
    List<PartSpec> parts = new ArrayList<>();
    parts.add(new PartSpec(Part.CODES, type.dtype(), weight));
    switch (scaling) {
      case NONE -> {}
      case TENSOR -> parts.add(new PartSpec(Part.SCALE, scale, Shape.of()));
      case ROW -> {
        Shape rows = Shape.of(Blocks.of(0, weight).count());
        parts.add(new PartSpec(Part.SCALE, scale, rows));
      }
      case TILE -> parts.add(new PartSpec(Part.SCALE, scale, tiles(weight)));
    }
    return List.copyOf(parts);
  }

  private static Shape tiles(Shape weight) {
    if (weight.rank() != 2) {
      throw new IllegalArgumentException("tiles are of matrices, not of " + weight);
    }
    return Shape.of(Math.ceilDiv(weight.dim(0), TILE), Math.ceilDiv(weight.dim(1), TILE));
  }

  /// How the weight falls into pieces that are encoded at once.
  Blocks blocks(Shape weight) {
    return scaling == Scaling.ROW ? Blocks.of(0, weight) : Blocks.of(Blocks.SPAN, weight);
  }

  @Override
  public long sliceAlignment(Shape weight) {
    return blocks(weight).span();
  }

  @Override
  public long codeBytes(long elements) {
    return elements;
  }

  /// @throws UnsupportedOperationException for {@link Scaling#TILE}
  @Override
  public WeightEncoder encoder(Shape weight, DType source, SegmentAllocator statistics) {
    if (scaling == Scaling.TILE) {
      throw new UnsupportedOperationException(id() + " is only read");
    }
    return new Fp8Encoder(this, weight, source, statistics, Int8Kernels.best());
  }

  @Override
  public WeightDecoder decoder(QuantizedTensor tensor) {
    return new Fp8Decoder(this, tensor);
  }
}
