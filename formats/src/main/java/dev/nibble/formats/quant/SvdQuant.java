package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/// A weight `[out, in]` in two parts: a residual in another scheme, and what that scheme holds
/// badly beside it in more bits. A layer computes
///
/// ```
/// y = x̂·Rᵀ + (x̂·downᵀ)·upᵀ + bias,   x̂ = x / s
/// ```
///
/// | part | dtype | shape | value |
/// |---|---|---|---|
/// | those of the residual R | | | of a weight `[out, in]` |
/// | INPUT_SCALE | F32 | `[in]` | s: what each input is divided by, above 0 |
/// | LOW_RANK_UP | BF16 | `[out, rank]` | not at rank 0 |
/// | LOW_RANK_DOWN | BF16 | `[rank, in]` | not at rank 0 |
///
/// Decoded: the weight that a layer without any of this would have, `(R + up·down) / s`, in
/// float32, the terms added to R in the order of the ranks. Rank 0 is an input scale alone, as AWQ
/// leaves it where no layer before takes it up; a scale of ones is the low rank alone, as a LoRA
/// is.
///
/// Sources: Li et al. 2024, SVDQuant (arXiv:2411.05007); Lin et al. 2023, AWQ (arXiv:2306.00978).
///
/// @param residual scheme of R: any but this one, and ggml's blocks, which live in GGUF files alone
/// @param rank of up·down; 0 for none
public record SvdQuant(QuantScheme residual, int rank) implements QuantScheme {
  /// The rank that the paper and its tools take.
  public static final int DEFAULT_RANK = 32;

  static final String RANK = "svd";
  static final String SCALE = "scale";

  /// More would be more than a 4-bit weight itself.
  public static final int MAX_RANK = 1024;

  public SvdQuant {
    if (residual instanceof SvdQuant || residual instanceof GgmlBlock) {
      throw new IllegalArgumentException(
          "a residual in " + residual.id() + ": a scheme of plain parts holds it, such as nf4");
    }
    if (rank < 0 || rank > MAX_RANK) {
      throw new IllegalArgumentException("rank " + rank + " is not 0 to " + MAX_RANK);
    }
  }

  /// `nf4+svd32`, `int4:g64+svd16`; `nf4+scale` without a low rank.
  @Override
  public String id() {
    return residual.id() + "+" + (rank == 0 ? SCALE : RANK + rank);
  }

  /// Whether a weight of that shape has inputs and outputs, which all else demands.
  public boolean fits(Shape weight) {
    return weight.rank() == 2 && weight.elements() > 0;
  }

  private void requireFits(Shape weight) {
    if (!fits(weight)) {
      throw new IllegalArgumentException(
          id() + " is of the matrices of linear layers, not of a weight " + weight);
    }
  }

  @Override
  public List<PartSpec> parts(Shape weight) {
    requireFits(weight);
    List<PartSpec> parts = new ArrayList<>(residual.parts(weight));
    parts.add(new PartSpec(Part.INPUT_SCALE, DType.F32, Shape.of(weight.dim(1))));
    if (rank > 0) {
      parts.add(new PartSpec(Part.LOW_RANK_UP, DType.BF16, Shape.of(weight.dim(0), rank)));
      parts.add(new PartSpec(Part.LOW_RANK_DOWN, DType.BF16, Shape.of(rank, weight.dim(1))));
    }
    return List.copyOf(parts);
  }

  /// Whole rows that are also whole slices of the residual.
  @Override
  public long sliceAlignment(Shape weight) {
    requireFits(weight);
    return WordLayout.leastCommonMultiple(
        weight.dim(1), Math.max(1, residual.sliceAlignment(weight)));
  }

  @Override
  public long codeBytes(long elements) {
    return residual.codeBytes(elements);
  }

  @Override
  public boolean isCalibrated() {
    return true;
  }

  /// @throws UnsupportedOperationException always: {@link #encoder(Shape, DType, SvdBranch,
  ///   SegmentAllocator)} takes what an algorithm has found
  @Override
  public WeightEncoder encoder(Shape weight, DType source, SegmentAllocator statistics) {
    throw new UnsupportedOperationException(
        id() + " needs the branch that an algorithm finds for each weight");
  }

  /// Quantizes what the branch leaves of a weight, by the residual's own rule of rounding.
  ///
  /// The error it tells is that of the scaled weight `W·diag(s)`, which the layer multiplies with
  /// scaled inputs; {@link WeightEncoder#nonFinite} counts the weight's elements as ever.
  ///
  /// @param branch of this rank, for a weight of this shape
  /// @param statistics as of {@link QuantScheme#encoder}; receives the branch too
  public WeightEncoder encoder(
      Shape weight, DType source, SvdBranch branch, SegmentAllocator statistics) {
    requireFits(weight);
    branch.require(weight, rank);
    return new SvdQuantEncoder(this, weight, source, branch, statistics);
  }

  @Override
  public WeightDecoder decoder(QuantizedTensor tensor) {
    return new SvdQuantDecoder(tensor.shape(), residual(tensor), SvdBranch.of(tensor));
  }

  /// R alone, a weight like any other of its scheme. Borrows the segments.
  ///
  /// @param tensor of this scheme
  public QuantizedTensor residual(QuantizedTensor tensor) {
    Map<Part, MemorySegment> parts = new EnumMap<>(tensor.parts());
    parts.keySet().removeIf(SvdBranch.PARTS::contains);
    return new QuantizedTensor(residual, tensor.shape(), tensor.dtype(), parts);
  }
}
