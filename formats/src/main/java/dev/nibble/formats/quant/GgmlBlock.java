package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.ggml.GgmlCodecs;
import dev.nibble.formats.quant.ggml.GgmlType;
import java.lang.foreign.SegmentAllocator;
import java.util.List;
import java.util.Optional;

/// Blocks of one of ggml's quantized types, over the flattened weight. A block holds its codes and
/// its scales, so a weight has one part:
///
/// | part | dtype | shape |
/// |---|---|---|
/// | CODES | U8 | `[elements / block size * block bytes]`: blocks in order |
///
/// ggml cuts each row of a weight into whole blocks. Where rows are no multiple of a block,
/// ComfyUI-GGUF cuts the flattened weight into rows of 256 elements instead: the same blocks.
///
/// @param type one with {@link GgmlType#isQuantized()}
public record GgmlBlock(GgmlType type) implements QuantScheme {
  /// What stands before the type in {@link #id()}.
  public static final String PREFIX = "gguf";

  /// Elements of a row that is cut anew: the size of the largest block.
  public static final int CUT_ROW = 256;

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

  /// Whether a weight of that shape falls into whole blocks, which all else demands.
  public boolean fits(Shape weight) {
    return weight.rank() > 0 && weight.elements() % type.blockSize() == 0;
  }

  @Override
  public List<PartSpec> parts(Shape weight) {
    requireFits(weight);
    return List.of(new PartSpec(Part.CODES, DType.U8, Shape.of(type.byteSize(weight.elements()))));
  }

  private void requireFits(Shape weight) {
    if (!fits(weight)) {
      throw new IllegalArgumentException(
          "a weight %s is no multiple of the %d elements of a %s block"
              .formatted(weight, type.blockSize(), type));
    }
  }

  /// Whole rows.
  @Override
  public long sliceAlignment(Shape weight) {
    return rows(weight).span();
  }

  /// The rows that are encoded together: those of the weight, or new ones of 256 elements.
  private Blocks rows(Shape weight) {
    return type.fits(weight) ? Blocks.of(0, weight) : Blocks.of(CUT_ROW, weight);
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
