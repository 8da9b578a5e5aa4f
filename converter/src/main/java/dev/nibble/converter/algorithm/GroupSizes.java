package dev.nibble.converter.algorithm;

import dev.nibble.formats.quant.AbsmaxInt8;
import dev.nibble.formats.quant.AffineInt8;
import dev.nibble.formats.quant.DynamicInt8;
import dev.nibble.formats.quant.FourBit;
import dev.nibble.formats.quant.Fp8;
import dev.nibble.formats.quant.GgmlBlock;
import dev.nibble.formats.quant.GroupedInt;
import dev.nibble.formats.quant.LlmInt8;
import dev.nibble.formats.quant.MicroFloat;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.SvdQuant;

/// Elements of a row that share a scale.
final class GroupSizes {
  private GroupSizes() {}

  /// The group size of a scheme in rows of that length: at most a row, and a row where blocks don't
  /// divide it.
  static int of(QuantScheme scheme, int columns) {
    int size =
        switch (scheme) {
          case FourBit four -> four.blockSize();
          case GroupedInt grouped -> grouped.groupSize();
          case AbsmaxInt8 absmax -> absmax.blockSize();
          case AffineInt8 affine -> affine.blockSize();
          case DynamicInt8 dynamic -> dynamic.blockSize();
          case MicroFloat micro -> micro.kind().blockSize();
          case GgmlBlock ggml -> ggml.type().blockSize();
          case SvdQuant svd -> of(svd.residual(), columns);
          case LlmInt8() -> columns;
          case Fp8 _ -> columns;
        };
    return size == 0 || size > columns || columns % size != 0 ? columns : size;
  }
}
