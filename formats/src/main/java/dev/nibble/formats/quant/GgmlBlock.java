package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.ggml.GgmlCodecs;
import dev.nibble.formats.quant.ggml.GgmlType;
import java.lang.foreign.SegmentAllocator;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Blocks of one of ggml's quantized types. A block holds its codes and its scales, so a weight has
/// one part:
///
/// | part | dtype | shape |
/// |---|---|---|
/// | CODES | U8 | `[..., bytes of a row]`: blocks in order, row after row; no block spans rows |
///
/// @param type one with {@link GgmlType#isQuantized()}
public record GgmlBlock(GgmlType type) implements QuantScheme {
  /// What stands before the type in {@link #id()}.
  public static final String PREFIX = "gguf";

  public GgmlBlock {
    if (!type.isQuantized()) {
      throw new IllegalArgumentException(type + " is not quantized");
    }
  }

  /// `gguf:q8_0`.
  @Override
  public String id() {
    return PREFIX + ":" + type.label();
  }

  /// Whether rows of a weight of that shape fall into whole blocks, which all else demands.
  public boolean fits(Shape weight) {
    return weight.rank() > 0 && type.fits(weight);
  }

  @Override
  public List<PartSpec> parts(Shape weight) {
    return List.of(new PartSpec(Part.CODES, DType.U8, codesShape(weight)));
  }

  private Shape codesShape(Shape weight) {
    requireFits(weight);
    List<Long> dims = new ArrayList<>(weight.dims());
    dims.set(dims.size() - 1, type.byteSize(weight.last()));
    return new Shape(dims);
  }

  private void requireFits(Shape weight) {
    if (!fits(weight)) {
      throw new IllegalArgumentException(
          "a weight %s has rows that are not a multiple of the %d elements of a %s block"
              .formatted(weight, type.blockSize(), type));
    }
  }

  /// Whole rows.
  @Override
  public long sliceAlignment(Shape weight) {
    return rows(weight).span();
  }

  private static Blocks rows(Shape weight) {
    return Blocks.of(0, weight);
  }

  @Override
  public long codeBytes(long elements) {
    return type.byteSize(elements);
  }

  @Override
  public WeightEncoder encoder(Shape weight, DType source, SegmentAllocator statistics) {
    return encoder(weight, source, statistics, Optional.empty());
  }

  /// As {@link #encoder(Shape, DType, SegmentAllocator)}, with what an importance matrix says.
  ///
  /// @param importance a weight for each column of the weight
  public WeightEncoder encoder(
      Shape weight, DType source, SegmentAllocator statistics, Optional<float[]> importance) {
    requireFits(weight);
    return new GgmlEncoder(GgmlCodecs.of(type), rows(weight), source, statistics, importance);
  }

  @Override
  public WeightDecoder decoder(QuantizedTensor tensor) {
    return new GgmlDecoder(GgmlCodecs.of(type), tensor);
  }
}
