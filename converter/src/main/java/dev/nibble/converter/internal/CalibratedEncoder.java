package dev.nibble.converter.internal;

import dev.nibble.converter.algorithm.ClipChoice;
import dev.nibble.converter.algorithm.RowQuantizer;
import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.model.TensorEdit;
import dev.nibble.formats.quant.GridEncoder;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantError;
import dev.nibble.formats.quant.SvdBranch;
import dev.nibble.formats.quant.WeightEncoder;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.atomic.AtomicLong;

/// Encodes a weight whose codes an algorithm chooses. Slices are whole rows, which do not depend on
/// each other.
///
/// The error it tells is that of the weight that a layer with the branch would need without it.
final class CalibratedEncoder implements WeightEncoder {
  private static final long NONE = Long.MAX_VALUE;

  private final Preparation preparation;
  private final int columns;
  private final FloatReader reader;
  private final SegmentAllocator statistics;
  private final GridEncoder grid;
  private final RowErrors errors;
  private final AtomicLong nonFinite = new AtomicLong(NONE);
  private boolean isSurveyed;

  /// How one weight is quantized.
  ///
  /// @param quantizer chooses the codes of what the branch leaves
  /// @param branch scales the input, and takes its part of the weight; empty for neither
  /// @param stored what is stored of the branch with the weight
  /// @param edit what becomes of the rows first, for the scales of later layers
  /// @param clip where the scaled weight is cut off before it is rounded
  /// @param output measures what becomes of the layer's output
  record Preparation(
      RowQuantizer quantizer,
      Optional<SvdBranch> branch,
      Optional<SvdBranch> stored,
      TensorEdit edit,
      Optional<ClipChoice> clip,
      OutputErrors output) {}

  CalibratedEncoder(
      Preparation preparation,
      GridEncoder grid,
      Shape weight,
      DType source,
      SegmentAllocator statistics) {
    this.preparation = preparation;
    this.columns = Math.toIntExact(weight.dim(1));
    this.reader = FloatReader.of(source);
    this.statistics = statistics;
    this.grid = grid;
    this.errors = new RowErrors(Math.toIntExact(weight.dim(0)), columns);
    preparation.quantizer().prepare(grid);
  }

  @Override
  public boolean surveys() {
    return grid.surveys();
  }

  @Override
  public void survey(long begin, long count, MemorySegment slice) {
    float[] values = read(begin, count, slice);
    if (tellNonFinite(begin, values)) {
      return;
    }
    preparation.output().survey(Math.toIntExact(begin / columns), values.length / columns, values);
    toResidual(begin, values);
    grid.survey(begin / columns, values.length / columns, values);
  }

  @Override
  public void encode(long begin, long count, MemorySegment slice, MemorySegment codes) {
    endSurvey();
    int length = Math.toIntExact(count);
    int rows = length / columns;
    int firstRow = Math.toIntExact(begin / columns);
    float[] weight = read(begin, count, slice);
    if (tellNonFinite(begin, weight)) {
      return;
    }
    float[] values = weight.clone();
    toResidual(begin, values);
    byte[] chosen = new byte[length];
    preparation.quantizer().quantize(firstRow, rows, values, grid, chosen);
    grid.pack(firstRow, rows, chosen, codes);
    preparation.branch().ifPresent(branch -> branch.toWeight(begin, values, 0, length));
    errors.add(firstRow, rows, weight, values);
    preparation.output().add(firstRow, rows, weight, values);
  }

  /// What the grid has to hold, in place.
  private void toResidual(long begin, float[] values) {
    preparation.branch().ifPresent(branch -> branch.toResidual(begin, values, 0, values.length));
    int first = Math.toIntExact(begin / columns);
    preparation
        .clip()
        .ifPresent(clip -> clip.apply(first, values.length / columns, columns, values));
  }

  private float[] read(long begin, long count, MemorySegment slice) {
    float[] values = new float[Math.toIntExact(count)];
    reader.read(slice, 0, values, values.length);
    preparation.edit().apply(begin, values.length, columns, values, 0);
    return values;
  }

  /// Once all rows have been surveyed, whichever thread comes first.
  private synchronized void endSurvey() {
    if (!isSurveyed) {
      grid.surveyed();
      preparation.output().surveyed();
      isSurveyed = true;
    }
  }

  private boolean tellNonFinite(long begin, float[] values) {
    for (int i = 0; i < values.length; i++) {
      if (!Float.isFinite(values[i])) {
        nonFinite.accumulateAndGet(begin + i, Math::min);
        return true;
      }
    }
    return false;
  }

  @Override
  public OptionalLong nonFinite() {
    long first = nonFinite.get();
    return first == NONE ? OptionalLong.empty() : OptionalLong.of(first);
  }

  @Override
  public Map<Part, MemorySegment> finish() {
    Map<Part, MemorySegment> parts = new EnumMap<>(grid.finish());
    preparation.stored().ifPresent(branch -> parts.putAll(branch.parts(statistics)));
    return parts;
  }

  @Override
  public QuantError error() {
    return errors.total();
  }
}
