package dev.nibble.formats.quant.storage;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.TorchDtype;
import dev.nibble.formats.quant.AbsmaxInt8;
import dev.nibble.formats.quant.AffineInt8;
import dev.nibble.formats.quant.Fp8;
import dev.nibble.formats.quant.Fp8Type;
import dev.nibble.formats.quant.GroupedInt;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.PartLayout;
import dev.nibble.formats.quant.QuantScheme;
import java.util.ArrayList;
import java.util.List;

/// compressed-tensors, weights only: `int-quantized` ({@link AbsmaxInt8}, {@link AffineInt8}),
/// `pack-quantized` ({@link GroupedInt}) and `float-quantized` ({@link Fp8} of E4M3).
///
/// | tensor | int-quantized | pack-quantized | float-quantized |
/// |---|---|---|---|
/// | `P.weight` | I8 `[out, in]`: the codes; those of {@link AffineInt8} less 128 | | F8_E4M3 `[out, in]` |
/// | `P.weight_packed` | | I32 `[out, in * bits / 32]` | |
/// | `P.weight_scale` | F32 `[out, groups]`, one group for a block size of a row | of the model's dtype, same shape | of the model's dtype, `[1]` or `[out, 1]` |
/// | `P.weight_zero_point` | {@link AffineInt8}: I8 `[out, groups]`, less 128 | asymmetric: I32 `[ceil(out * bits / 32), groups]` | |
/// | `P.weight_shape` | | I64 `[2]` | |
///
/// The library dequantizes `(code - zero_point) * scale` in the dtype of the scale: with F32 scales
/// that is exactly our decoding, since 128 cancels out; with 16-bit scales it is ours rounded to
/// that type. Groups can't span rows, so the group size must divide `in`. Source:
/// compressed-tensors, `compressors/quantized_compressors` and `quantization/lifecycle/forward.py`,
/// October 2025.
public record CompressedTensorsStorage() implements QuantStorage {
  static final String SCALE = "weight_scale";
  static final String ZERO_POINT = "weight_zero_point";
  static final String PACKED = "weight_packed";
  static final String SHAPE = "weight_shape";

  @Override
  public String id() {
    return "compressed-tensors";
  }

  @Override
  public boolean stores(QuantScheme scheme, Shape shape) {
    return switch (scheme) {
      case AbsmaxInt8 absmax -> fits(absmax.blockSize(), shape);
      case AffineInt8 affine -> fits(affine.blockSize(), shape);
      case GroupedInt grouped ->
          fits(grouped.groupSize(), shape) && shape.last() % (32 / grouped.bits()) == 0;
      case Fp8 fp8 ->
          fits(0, shape)
              && fp8.type() == Fp8Type.E4M3
              && (fp8.scaling() == Fp8.Scaling.TENSOR || fp8.scaling() == Fp8.Scaling.ROW);
      default -> false;
    };
  }

  private static boolean fits(int blockSize, Shape shape) {
    return shape.rank() == 2
        && shape.elements() > 0
        && (blockSize == 0 || shape.last() % blockSize == 0);
  }

  /// Scales have the dtype of the model, since that is what its loaders dequantize to.
  @Override
  public QuantScheme adapt(QuantScheme scheme, DType source) {
    DType computed = TorchDtype.computable(source);
    return switch (scheme) {
      case GroupedInt grouped -> grouped.withScale(computed);
      case Fp8 fp8 -> fp8.withScale(computed);
      default -> scheme;
    };
  }

  @Override
  public PartLayout layout(QuantScheme scheme) {
    return switch (scheme) {
      case AffineInt8 _ -> PartLayout.SIGNED;
      case GroupedInt _ -> PartLayout.PACKED;
      default -> PartLayout.PLAIN;
    };
  }

  @Override
  public List<StoredTensor> plan(String weight, QuantScheme scheme, Shape shape, DType source) {
    StoredTensors.require(this, scheme, shape);
    String prefix = StoredTensors.layerPrefix(weight);
    return switch (scheme) {
      case GroupedInt grouped -> planPacked(prefix, grouped, shape);
      case Fp8 fp8 -> {
        Shape scales =
            fp8.scaling() == Fp8.Scaling.TENSOR ? Shape.of(1) : Shape.of(shape.dim(0), 1);
        yield List.of(
            StoredTensors.part(weight, Part.CODES, fp8.type().dtype(), shape),
            StoredTensors.part(prefix + SCALE, Part.SCALE, fp8.scale(), scales));
      }
      default -> planInt8(weight, prefix, scheme, shape);
    };
  }

  private static List<StoredTensor> planInt8(
      String weight, String prefix, QuantScheme scheme, Shape shape) {
    long blocks = StoredTensors.spec(scheme, shape, Part.SCALE).shape().elements();
    Shape groups = Shape.of(shape.dim(0), blocks / shape.dim(0));
    List<StoredTensor> plan = new ArrayList<>();
    plan.add(StoredTensors.part(weight, Part.CODES, DType.I8, shape));
    plan.add(StoredTensors.part(prefix + SCALE, Part.SCALE, DType.F32, groups));
    if (scheme instanceof AffineInt8) {
      plan.add(StoredTensors.part(prefix + ZERO_POINT, Part.ZERO_POINT, DType.I8, groups));
    }
    return List.copyOf(plan);
  }

  private static List<StoredTensor> planPacked(String prefix, GroupedInt scheme, Shape shape) {
    long out = shape.dim(0);
    long perWord = 32 / scheme.bits();
    long groups = scheme.groups(shape.dim(1));
    List<StoredTensor> plan = new ArrayList<>();
    Shape words = Shape.of(out, shape.dim(1) / perWord);
    plan.add(StoredTensors.part(prefix + PACKED, Part.CODES, DType.I32, words));
    plan.add(StoredTensors.part(prefix + SCALE, Part.SCALE, scheme.scale(), Shape.of(out, groups)));
    if (!scheme.symmetric()) {
      Shape zeros = Shape.of(Math.ceilDiv(out, perWord), groups);
      plan.add(StoredTensors.part(prefix + ZERO_POINT, Part.ZERO_POINT, DType.I32, zeros));
    }
    plan.add(StoredTensors.numbers(prefix + SHAPE, shape.dims()));
    return List.copyOf(plan);
  }
}
