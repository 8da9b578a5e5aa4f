package dev.nibble.runtime.cuda;

import dev.nibble.formats.quant.AbsmaxInt8;
import dev.nibble.formats.quant.AffineInt8;
import dev.nibble.formats.quant.DynamicInt8;
import dev.nibble.formats.quant.FourBit;
import dev.nibble.formats.quant.LlmInt8;
import dev.nibble.formats.quant.QuantScheme;
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
      default -> Optional.empty(); // formats may learn a scheme before kernels do
    };
  }

  /// Elements of the flattened weight that share a scale.
  static int blockSize(QuantScheme scheme, int inFeatures) {
    int size =
        switch (scheme) {
          case FourBit fourBit -> fourBit.blockSize();
          case LlmInt8 _ -> 0;
          case AbsmaxInt8(int blockSize) -> blockSize;
          case AffineInt8(int blockSize) -> blockSize;
          case DynamicInt8(int blockSize) -> blockSize;
          default -> throw new IllegalArgumentException("no kernel reads " + scheme.id());
        };
    return size == 0 ? inFeatures : size;
  }
}
