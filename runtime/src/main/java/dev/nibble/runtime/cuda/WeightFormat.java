package dev.nibble.runtime.cuda;

import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.AbsmaxInt8;
import dev.nibble.formats.quant.AffineInt8;
import dev.nibble.formats.quant.DynamicInt8;
import dev.nibble.formats.quant.FourBit;
import dev.nibble.formats.quant.Fp8;
import dev.nibble.formats.quant.Fp8Type;
import dev.nibble.formats.quant.GgmlBlock;
import dev.nibble.formats.quant.GroupedInt;
import dev.nibble.formats.quant.LlmInt8;
import dev.nibble.formats.quant.MicroFloat;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.SvdQuant;
import java.util.Locale;
import java.util.Optional;

/// How kernels read a weight; the names are those in their entry points.
enum WeightFormat {
  FOUR_BIT,
  FOUR_BIT_DQ,
  LLM_INT8,
  ABSMAX8,
  AFFINE8,
  DYNAMIC8,
  FP8_E4M3,
  FP8_E5M2,
  BF16,
  F32;

  /// The word in names of entry points, such as `four_bit_dq`.
  String id() {
    return name().toLowerCase(Locale.ROOT);
  }

  /// The format of a scheme; empty for one that no kernel reads, whose weights are decoded when
  /// they are loaded.
  static Optional<WeightFormat> of(QuantScheme scheme) {
    return switch (scheme) {
      case FourBit fourBit -> Optional.of(fourBit.doubleQuant() ? FOUR_BIT_DQ : FOUR_BIT);
      case LlmInt8 _ -> Optional.of(LLM_INT8);
      case AbsmaxInt8 _ -> Optional.of(ABSMAX8);
      case AffineInt8 _ -> Optional.of(AFFINE8);
      case DynamicInt8 _ -> Optional.of(DYNAMIC8);
      case Fp8 fp8 ->
          fp8.scaling() == Fp8.Scaling.TILE
              ? Optional.empty()
              : Optional.of(fp8.type() == Fp8Type.E4M3 ? FP8_E4M3 : FP8_E5M2);
      case GroupedInt _, MicroFloat _, GgmlBlock _, SvdQuant _ -> Optional.empty();
    };
  }

  /// Elements of the flattened weight `[out, in]` that share a scale; 0 where there is none.
  static int blockSize(QuantScheme scheme, Shape shape) {
    int row = Math.toIntExact(shape.dim(1));
    return switch (scheme) {
      case FourBit fourBit -> fourBit.blockSize();
      case LlmInt8 _ -> row;
      case AbsmaxInt8(int blockSize) -> blockSize == 0 ? row : blockSize;
      case AffineInt8(int blockSize) -> blockSize == 0 ? row : blockSize;
      case DynamicInt8(int blockSize) -> blockSize;
      case Fp8 fp8 ->
          switch (fp8.scaling()) {
            case NONE -> 0;
            case TENSOR -> Math.toIntExact(shape.elements());
            case ROW -> row;
            case TILE -> throw unread(scheme);
          };
      case GroupedInt _, MicroFloat _, GgmlBlock _, SvdQuant _ -> throw unread(scheme);
    };
  }

  private static IllegalArgumentException unread(QuantScheme scheme) {
    return new IllegalArgumentException("no kernel reads " + scheme.id());
  }
}
