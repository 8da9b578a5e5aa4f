package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import java.lang.foreign.SegmentAllocator;
import java.util.List;
import java.util.Optional;

/// A quantization scheme with its options: what the numbers of a weight become. Names on disk are
/// the business of a {@link dev.nibble.formats.quant.storage.QuantStorage}.
public sealed interface QuantScheme
    permits FourBit,
        LlmInt8,
        AbsmaxInt8,
        AffineInt8,
        DynamicInt8,
        GroupedInt,
        Fp8,
        MicroFloat,
        GgmlBlock,
        SvdQuant {
  /// The canonical name, as `--scheme` takes it: `nf4`, `int8`, `absmax8:128`.
  String id();

  /// The parts of a weight of that shape, {@link Part#CODES} first.
  List<PartSpec> parts(Shape weight);

  /// Slices of a weight begin at multiples of this many elements.
  long sliceAlignment(Shape weight);

  /// Bytes of the codes of `elements` elements; a slice that begins at an aligned element `b` has
  /// its codes at byte `codeBytes(b)`.
  long codeBytes(long elements);

  /// Whether weights of this scheme come from an algorithm that has seen the layer's inputs, so
  /// that {@link #encoder} cannot make them.
  default boolean isCalibrated() {
    return false;
  }

  /// Starts to quantize a weight.
  ///
  /// @param weight its shape
  /// @param source its dtype, one with {@link DType#isQuantizable()}
  /// @param statistics where the parts other than the codes, and working arrays of their size, are
  ///   allocated; never used after {@link WeightEncoder#finish()} returns
  WeightEncoder encoder(Shape weight, DType source, SegmentAllocator statistics);

  /// The scheme's grid, for algorithms that choose codes themselves; empty if it has none that
  /// groups of a row of this weight can be fitted to.
  ///
  /// @param weight its shape, `[out, in]`
  /// @param statistics as of {@link #encoder}
  default Optional<GridEncoder> grid(Shape weight, SegmentAllocator statistics) {
    return Optional.empty();
  }

  /// Reads a weight of this scheme.
  ///
  /// @param tensor borrowed as long as the decoder is used
  WeightDecoder decoder(QuantizedTensor tensor);
}
