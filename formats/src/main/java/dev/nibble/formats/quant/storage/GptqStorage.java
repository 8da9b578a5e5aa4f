package dev.nibble.formats.quant.storage;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.GroupedInt;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.PartLayout;
import dev.nibble.formats.quant.QuantScheme;
import java.util.List;

/// The tensors of GPTQ's checkpoints, as GPTQModel packs them.
///
/// | tensor | holds |
/// |---|---|
/// | `P.qweight` | I32 `[in * bits / 32, out]` |
/// | `P.qzeros` | I32 `[groups, out * bits / 32]`; of checkpoint format `gptq` less one in each code |
/// | `P.scales` | F16 `[groups, out]` |
/// | `P.g_idx` | I32 `[in]`: the group of each input |
///
/// Both sides must be multiples of 32. Source: GPTQModel `nn_modules/qlinear`.
///
/// @param version 1 for checkpoint format `gptq`, 2 for `gptq_v2`
public record GptqStorage(int version) implements QuantStorage {
  static final String CODES = "qweight";
  static final String ZEROS = "qzeros";
  static final String SCALES = "scales";
  static final String GROUP_INDEX = "g_idx";
  private static final int MULTIPLE = 32;

  public GptqStorage {
    if (version != 1 && version != 2) {
      throw new IllegalArgumentException("GPTQ has checkpoint formats 1 and 2, not " + version);
    }
  }

  /// Also the name of the checkpoint format.
  @Override
  public String id() {
    return version == 1 ? "gptq" : "gptq_v2";
  }

  @Override
  public boolean stores(QuantScheme scheme, Shape shape) {
    return scheme instanceof GroupedInt grouped
        && grouped.scale() == DType.F16
        && shape.rank() == 2
        && shape.elements() > 0
        && shape.dim(0) % MULTIPLE == 0
        && shape.dim(1) % MULTIPLE == 0
        && (grouped.groupSize() == 0 || shape.dim(1) % grouped.groupSize() == 0);
  }

  @Override
  public QuantScheme adapt(QuantScheme scheme, DType source) {
    return scheme instanceof GroupedInt grouped ? grouped.withScale(DType.F16) : scheme;
  }

  @Override
  public PartLayout layout(QuantScheme scheme) {
    return version == 1 ? PartLayout.GPTQ : PartLayout.GPTQ_V2;
  }

  @Override
  public List<StoredTensor> plan(String weight, QuantScheme scheme, Shape shape, DType source) {
    StoredTensors.require(this, scheme, shape);
    GroupedInt grouped = (GroupedInt) scheme;
    String prefix = StoredTensors.layerPrefix(weight);
    long out = shape.dim(0);
    long in = shape.dim(1);
    long perWord = 32 / grouped.bits();
    long groups = grouped.groups(in);
    return List.of(
        StoredTensors.part(prefix + CODES, Part.CODES, DType.I32, Shape.of(in / perWord, out)),
        StoredTensors.part(
            prefix + ZEROS, Part.ZERO_POINT, DType.I32, Shape.of(groups, out / perWord)),
        StoredTensors.part(prefix + SCALES, Part.SCALE, DType.F16, Shape.of(groups, out)),
        StoredTensors.part(prefix + GROUP_INDEX, Part.GROUP_INDEX, DType.I32, Shape.of(in)));
  }
}
