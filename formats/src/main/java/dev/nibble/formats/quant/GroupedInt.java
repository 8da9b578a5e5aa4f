package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.Int8Kernels;
import java.lang.foreign.SegmentAllocator;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Whole numbers of 4 or 8 bits on one grid a group, as GPTQ, AWQ and compressed-tensors store
/// them, by rounding to nearest. Groups run over the flattened weight.
///
/// | part | dtype | shape | value |
/// |---|---|---|---|
/// | CODES | U8 | `[ceil(n * bits / 8)]`, first element in the low bits | `clamp(rint(w / SCALE) + zero, 0, 2^bits - 1)`, ties to even |
/// | SCALE | of `scale` | `[groups]` | symmetric: `absmax / ((2^bits - 1) / 2)`; else `(max(0, max) - min(0, min)) / (2^bits - 1)` |
/// | ZERO_POINT | U8 | `[groups]` | not of symmetric weights, whose zero is `2^(bits-1)`: `clamp(rint(-min / SCALE), 0, 2^bits - 1)` |
///
/// Decoded: `(code - zero) * SCALE` in float32. SCALE is rounded to its type before codes are made.
/// Encoders also give ZERO_POINT of symmetric weights and GROUP_INDEX, which some storages hold;
/// decoders heed both where they are. Sources: GPTQModel `quantizer.py`, compressed-tensors
/// `calculate_qparams`.
///
/// @param bits of a code: 4 or 8
/// @param groupSize elements of a group; 0 is one group a row of the last axis
/// @param symmetric whether zero stands in the middle of the grid
/// @param scale dtype of SCALE: F16, BF16 or F32
public record GroupedInt(int bits, int groupSize, boolean symmetric, DType scale)
    implements QuantScheme {
  /// The group size that GPTQ, AWQ and compressed-tensors take by default.
  public static final int DEFAULT_GROUP_SIZE = 128;

  public GroupedInt {
    if (bits != 4 && bits != 8) {
      throw new IllegalArgumentException("codes of " + bits + " bits: 4 and 8 are known");
    }
    Blocks.requireSize("int" + bits, groupSize, 0);
    ScaleType.require(scale);
  }

  /// `int4:g128`, `int8:row:asym`, `int4:g32:bf16`.
  @Override
  public String id() {
    return "int"
        + bits
        + (groupSize == 0 ? ":row" : ":g" + groupSize)
        + (symmetric ? "" : ":asym")
        + (scale == DType.F16 ? "" : ":" + ScaleType.word(scale));
  }

  /// The same grid with scales of another type.
  public GroupedInt withScale(DType type) {
    return new GroupedInt(bits, groupSize, symmetric, type);
  }

  /// Groups of a row of that length.
  public long groups(long rowLength) {
    return groupSize == 0 ? 1 : Math.ceilDiv(rowLength, groupSize);
  }

  /// The zero point of symmetric weights.
  int middle() {
    return 1 << (bits - 1);
  }

  @Override
  public List<PartSpec> parts(Shape weight) {
    Shape groups = Shape.of(Blocks.of(groupSize, weight).count());
    List<PartSpec> parts = new ArrayList<>();
    parts.add(new PartSpec(Part.CODES, DType.U8, Shape.of(codeBytes(weight.elements()))));
    parts.add(new PartSpec(Part.SCALE, scale, groups));
    if (!symmetric) {
      parts.add(new PartSpec(Part.ZERO_POINT, DType.U8, groups));
    }
    return List.copyOf(parts);
  }

  /// Whole groups, and whole bytes of codes.
  @Override
  public long sliceAlignment(Shape weight) {
    long span = Blocks.of(groupSize, weight).span();
    return bits == 4 && span % 2 != 0 ? 2 * span : span;
  }

  @Override
  public long codeBytes(long elements) {
    return bits == 4 ? Math.ceilDiv(elements, 2) : elements;
  }

  @Override
  public WeightEncoder encoder(Shape weight, DType source, SegmentAllocator statistics) {
    return new GroupedIntEncoder(this, weight, source, statistics, Int8Kernels.best());
  }

  @Override
  public Optional<GridEncoder> grid(Shape weight, SegmentAllocator statistics) {
    // Rows of an odd number of 4-bit codes do not begin at bytes.
    boolean bytes = bits == 8 || weight.last() % 2 == 0;
    return bytes && IntegerGrid.fits(groupSize, weight)
        ? Optional.of(new AffineGrid(this, true, weight, statistics))
        : Optional.empty();
  }

  @Override
  public WeightDecoder decoder(QuantizedTensor tensor) {
    // The groups of a plain weight follow from the places.
    boolean ordered =
        tensor.layout() != PartLayout.PLAIN && tensor.parts().containsKey(Part.GROUP_INDEX);
    return tensor.layout().isInOrder() && !ordered
        ? new GroupedIntDecoder(this, tensor, Int8Kernels.best())
        : new WordDecoder(this, tensor);
  }
}
