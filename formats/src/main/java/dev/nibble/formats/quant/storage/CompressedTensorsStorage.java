package dev.nibble.formats.quant.storage;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.AbsmaxInt8;
import dev.nibble.formats.quant.AffineInt8;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantScheme;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// compressed-tensors, format `int-quantized`, weights only.
///
/// | tensor | holds |
/// |---|---|
/// | `P.weight` | I8 `[out, in]`: the codes; those of {@link AffineInt8} less 128 |
/// | `P.weight_scale` | F32 `[out, groups]`, one group for a block size of a row |
/// | `P.weight_zero_point` | {@link AffineInt8} only: I8 `[out, groups]`, less 128 |
///
/// The library dequantizes `(code - zero_point) * scale` in the dtype of the scale: with F32 scales
/// that is exactly our decoding, since 128 cancels out. Groups can't span rows, so the block size
/// must divide `in`. Source: compressed-tensors, `compressors/naive_quantized/base.py` and
/// `quantization/lifecycle/forward_helpers.py`, August 2026.
public record CompressedTensorsStorage() implements QuantStorage {
  static final String SCALE = "weight_scale";
  static final String ZERO_POINT = "weight_zero_point";

  @Override
  public String id() {
    return "compressed-tensors";
  }

  @Override
  public boolean stores(QuantScheme scheme, Shape shape) {
    return switch (scheme) {
      case AbsmaxInt8 absmax -> fits(absmax.blockSize(), shape);
      case AffineInt8 affine -> fits(affine.blockSize(), shape);
      default -> false;
    };
  }

  private static boolean fits(int blockSize, Shape shape) {
    return shape.rank() == 2
        && shape.elements() > 0
        && (blockSize == 0 || shape.last() % blockSize == 0);
  }

  @Override
  public List<StoredTensor> plan(String weight, QuantScheme scheme, Shape shape, DType source) {
    StoredTensors.require(this, scheme, shape);
    String prefix = StoredTensors.layerPrefix(weight);
    boolean affine = scheme instanceof AffineInt8;
    long blocks = StoredTensors.spec(scheme, shape, Part.SCALE).shape().elements();
    Shape groups = Shape.of(shape.dim(0), blocks / shape.dim(0));
    List<StoredTensor> plan = new ArrayList<>();
    plan.add(
        affine
            ? StoredTensors.flipped(weight, Part.CODES, shape)
            : StoredTensors.part(weight, Part.CODES, DType.I8, shape));
    plan.add(StoredTensors.part(prefix + SCALE, Part.SCALE, DType.F32, groups));
    if (affine) {
      plan.add(StoredTensors.flipped(prefix + ZERO_POINT, Part.ZERO_POINT, groups));
    }
    return List.copyOf(plan);
  }

  @Override
  public byte[] document(
      QuantScheme scheme, Shape shape, DType source, Map<Part, MemorySegment> parts) {
    throw new IllegalArgumentException("compressed-tensors stores no document");
  }
}
