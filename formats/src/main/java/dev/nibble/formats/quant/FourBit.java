package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FourBitKernel;
import java.lang.foreign.SegmentAllocator;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/// 4-bit codes over blocks of the flattened weight, exactly as bitsandbytes' CPU backend makes
/// them.
///
/// A weight of n elements has b = ceil(n / blockSize) blocks:
///
/// | part | plain | double quantization |
/// | --- | --- | --- |
/// | CODES | U8 `[ceil(n/2), 1]`, first element in the high nibble | same |
/// | ABSMAX | F32 `[b]` | U8 `[b]` |
/// | CODEBOOK | F32 `[16]` | same |
/// | NESTED_ABSMAX | | F32 `[ceil(b/256)]` |
/// | NESTED_CODEBOOK | | F32 `[256]` |
/// | NESTED_OFFSET | | F32 `[]` |
///
/// A reader computes `CODEBOOK[code] * absmax` in float32, where absmax is, with double
/// quantization, `NESTED_CODEBOOK[code] * NESTED_ABSMAX[block / 256] + NESTED_OFFSET`.
///
/// Sources: Dettmers et al. 2023, QLoRA; bitsandbytes `backends/default/ops.py`.
///
/// @param type the codebook
/// @param blockSize elements that share an absmax: a power of two from 32 to 4096
/// @param doubleQuant whether absmax is itself quantized to 8 bits
public record FourBit(FourBitType type, int blockSize, boolean doubleQuant) implements QuantScheme {
  /// The block size of bitsandbytes where none is asked for.
  public static final int DEFAULT_BLOCK_SIZE = 64;

  private static final int MIN_BLOCK_SIZE = 32;
  private static final int MAX_BLOCK_SIZE = 4096;

  public FourBit {
    if (blockSize < MIN_BLOCK_SIZE
        || blockSize > MAX_BLOCK_SIZE
        || Integer.bitCount(blockSize) != 1) {
      throw new IllegalArgumentException(
          "block size %d: bitsandbytes knows 32, 64, 128, 256, 512, 1024, 2048 and 4096"
              .formatted(blockSize));
    }
  }

  /// `nf4` or `fp4`, then `:` and the block size where it isn't 64, then `:plain` where there is no
  /// double quantization: `nf4`, `fp4:128`, `nf4:plain`, `nf4:4096:plain`.
  @Override
  public String id() {
    return type.name().toLowerCase(Locale.ROOT)
        + (blockSize == DEFAULT_BLOCK_SIZE ? "" : ":" + blockSize)
        + (doubleQuant ? "" : ":plain");
  }

  long blocks(long elements) {
    return Math.ceilDiv(elements, blockSize);
  }

  @Override
  public List<PartSpec> parts(Shape weight) {
    long elements = weight.elements();
    long blocks = blocks(elements);
    List<PartSpec> parts = new ArrayList<>();
    parts.add(new PartSpec(Part.CODES, DType.U8, Shape.of(codeBytes(elements), 1)));
    parts.add(new PartSpec(Part.ABSMAX, doubleQuant ? DType.U8 : DType.F32, Shape.of(blocks)));
    parts.add(new PartSpec(Part.CODEBOOK, DType.F32, Shape.of(16)));
    if (doubleQuant) {
      long groups = DoubleQuant.groups(blocks);
      parts.add(new PartSpec(Part.NESTED_ABSMAX, DType.F32, Shape.of(groups)));
      parts.add(new PartSpec(Part.NESTED_CODEBOOK, DType.F32, Shape.of(256)));
      parts.add(new PartSpec(Part.NESTED_OFFSET, DType.F32, Shape.of()));
    }
    return List.copyOf(parts);
  }

  /// The block size: only the slice that reaches the end of the weight may end inside a block.
  @Override
  public long sliceAlignment(Shape weight) {
    return blockSize;
  }

  @Override
  public long codeBytes(long elements) {
    return Math.ceilDiv(elements, 2);
  }

  @Override
  public WeightEncoder encoder(Shape weight, DType source, SegmentAllocator statistics) {
    return new FourBitEncoder(this, weight, source, statistics, FourBitKernel.best());
  }

  @Override
  public Optional<GridEncoder> grid(Shape weight, SegmentAllocator statistics) {
    return IntegerGrid.fits(blockSize, weight)
        ? Optional.of(new FourBitGrid(this, weight, statistics))
        : Optional.empty();
  }

  @Override
  public WeightDecoder decoder(QuantizedTensor tensor) {
    return new FourBitDecoder(tensor, this, FourBitKernel.best());
  }
}
