package dev.nibble.formats.quant;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.nibble.formats.Shape;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;

/// How a file arranges the parts of a weight. Decoders read every arrangement where it lies, so
/// that nothing large is copied; encoders make {@link #PLAIN} parts, which a writer rearranges.
///
/// Of a {@link GroupedInt} weight `[out, in]` with `G` groups a row and `p = 32 / bits` codes a
/// word, the word layouts have:
///
/// | layout | CODES | SCALE | ZERO_POINT |
/// |---|---|---|---|
/// | PACKED | I32 `[out, in/p]`, low bits first: the bytes of PLAIN | `[out, G]` | I32 `[ceil(out/p), G]`, packed along `out` |
/// | GPTQ, GPTQ_V2 | I32 `[in/p, out]`, low bits first | `[G, out]` | I32 `[G, out/p]`; each word of GPTQ less one in every code |
/// | AWQ | I32 `[in, out/8]`, row `8w + {0, 2, 4, 6, 1, 3, 5, 7}[i]` in nibble i | `[G, out]` | I32 `[G, out/8]`, same order |
///
/// The "less one" of GPTQ is a subtraction of whole words, in which a zero point of 0 borrows from
/// its neighbour.
public enum PartLayout {
  /// As the scheme's own table says.
  PLAIN,
  /// 8-bit codes and zero points as signed bytes, less 128 (compressed-tensors `int-quantized`).
  SIGNED,
  /// compressed-tensors `pack-quantized`.
  PACKED,
  /// GPTQ's checkpoint format `gptq`.
  GPTQ,
  /// GPTQ's checkpoint format `gptq_v2`.
  GPTQ_V2,
  /// AWQ's version `gemm`.
  AWQ;

  /// Whether the codes of a slice of the weight are a slice of the stored codes.
  public boolean isInOrder() {
    return switch (this) {
      case PLAIN, SIGNED, PACKED -> true;
      case GPTQ, GPTQ_V2, AWQ -> false;
    };
  }

  /// Slices whose codes are arranged begin at multiples of this many elements.
  public long sliceAlignment(QuantScheme scheme, Shape weight) {
    long alignment = Math.max(1, scheme.sliceAlignment(weight));
    // Eight rows share a word, which two threads must not write at once.
    return this == AWQ
        ? WordLayout.leastCommonMultiple(alignment, WordLayout.AWQ_ROWS * weight.last())
        : alignment;
  }

  /// Rearranges the codes of a slice, in place.
  public void arrangeInPlace(MemorySegment codes) {
    if (this == SIGNED) {
      flipSignBits(codes);
    }
  }

  /// Puts the codes of a slice where they belong, in a layout that is not {@link #isInOrder()}.
  ///
  /// @param begin first element of the slice, a multiple of {@link #sliceAlignment}
  /// @param codes the slice's codes
  /// @param target all codes of the weight; threads may write different slices at once
  public void putCodes(
      GroupedInt scheme,
      Shape weight,
      long begin,
      long count,
      MemorySegment codes,
      MemorySegment target) {
    new WordLayout(this, scheme, weight).putCodes(begin, count, codes, target);
  }

  /// A part other than the codes, as it is stored.
  ///
  /// @param bytes the plain part; may be changed
  /// @param memory of the result, if it isn't the same segment
  public MemorySegment arrange(
      Part part, QuantScheme scheme, Shape weight, MemorySegment bytes, SegmentAllocator memory) {
    return switch (this) {
      case PLAIN -> bytes;
      case SIGNED -> {
        if (part == Part.ZERO_POINT) {
          flipSignBits(bytes);
        }
        yield bytes;
      }
      case PACKED, GPTQ, GPTQ_V2, AWQ -> {
        WordLayout words = new WordLayout(this, (GroupedInt) scheme, weight);
        yield switch (part) {
          case SCALE -> words.scales(bytes, memory);
          case ZERO_POINT -> words.zeroPoints(bytes, memory);
          default -> bytes;
        };
      }
    };
  }

  /// Bytes of a part in this layout.
  long byteSize(QuantScheme scheme, Shape weight, PartSpec spec) {
    return switch (this) {
      case PLAIN, SIGNED -> spec.byteSize();
      case PACKED, GPTQ, GPTQ_V2, AWQ ->
          spec.part() == Part.ZERO_POINT
              ? new WordLayout(this, (GroupedInt) scheme, weight).zeroPointBytes()
              : spec.byteSize();
    };
  }

  private static void flipSignBits(MemorySegment bytes) {
    for (long i = 0; i < bytes.byteSize(); i++) {
      bytes.set(JAVA_BYTE, i, (byte) (bytes.get(JAVA_BYTE, i) ^ 0x80));
    }
  }
}
