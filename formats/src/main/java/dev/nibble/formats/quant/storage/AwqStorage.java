package dev.nibble.formats.quant.storage;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.GroupedInt;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.PartLayout;
import dev.nibble.formats.quant.QuantScheme;
import java.util.List;

/// The tensors of AWQ's version `gemm`, as AutoAWQ packs them.
///
/// | tensor | holds |
/// |---|---|
/// | `P.qweight` | I32 `[in, out/8]` |
/// | `P.qzeros` | I32 `[groups, out/8]` |
/// | `P.scales` | F16 `[groups, out]` |
///
/// 4 bits, with zero points. Source: AutoAWQ `modules/linear/gemm.py`.
public record AwqStorage() implements QuantStorage {
  private static final int PER_WORD = 8;

  @Override
  public String id() {
    return "awq";
  }

  @Override
  public boolean stores(QuantScheme scheme, Shape shape) {
    return scheme instanceof GroupedInt grouped
        && grouped.bits() == 4
        && grouped.scale() == DType.F16
        && shape.rank() == 2
        && shape.elements() > 0
        && shape.dim(0) % PER_WORD == 0
        && shape.dim(1) % PER_WORD == 0
        && (grouped.groupSize() == 0 || shape.dim(1) % grouped.groupSize() == 0);
  }

  @Override
  public QuantScheme adapt(QuantScheme scheme, DType source) {
    return scheme instanceof GroupedInt grouped ? grouped.withScale(DType.F16) : scheme;
  }

  @Override
  public PartLayout layout(QuantScheme scheme) {
    return PartLayout.AWQ;
  }

  @Override
  public List<StoredTensor> plan(String weight, QuantScheme scheme, Shape shape, DType source) {
    StoredTensors.require(this, scheme, shape);
    String prefix = StoredTensors.layerPrefix(weight);
    long words = shape.dim(0) / PER_WORD;
    long in = shape.dim(1);
    long groups = ((GroupedInt) scheme).groups(in);
    return List.of(
        StoredTensors.part(prefix + GptqStorage.CODES, Part.CODES, DType.I32, Shape.of(in, words)),
        StoredTensors.part(
            prefix + GptqStorage.ZEROS, Part.ZERO_POINT, DType.I32, Shape.of(groups, words)),
        StoredTensors.part(
            prefix + GptqStorage.SCALES, Part.SCALE, DType.F16, Shape.of(groups, shape.dim(0))));
  }
}
