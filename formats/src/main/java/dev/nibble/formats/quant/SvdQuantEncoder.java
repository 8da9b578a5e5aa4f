package dev.nibble.formats.quant;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.internal.simd.FloatWriter;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.Map;
import java.util.OptionalLong;
import java.util.function.BiConsumer;

/// Quantizes what a branch leaves of a weight, which the residual's own encoder takes for its
/// source.
final class SvdQuantEncoder implements WeightEncoder {
  /// Elements that are taken at once, where slices of the scheme are smaller.
  private static final int CHUNK = 1 << 16;

  private final DType source;
  private final SvdBranch branch;
  private final WeightEncoder residual;
  private final SvdQuant scheme;
  private final SegmentAllocator statistics;
  private final long step;
  private final int columns;

  /// Of each row of the scaled weight, so that the sum does not depend on how it was cut.
  private final double[] squares;

  SvdQuantEncoder(
      SvdQuant scheme, Shape weight, DType source, SvdBranch branch, SegmentAllocator statistics) {
    this.scheme = scheme;
    this.source = source;
    this.branch = branch;
    this.statistics = statistics;
    this.residual = scheme.residual().encoder(weight, DType.F32, statistics);
    this.columns = Math.toIntExact(weight.dim(1));
    this.squares = new double[Math.toIntExact(weight.dim(0))];
    long alignment = scheme.sliceAlignment(weight);
    this.step = Math.max(alignment, CHUNK / alignment * alignment);
  }

  @Override
  public boolean surveys() {
    return residual.surveys();
  }

  @Override
  public void survey(long begin, long count, MemorySegment slice) {
    byChunk(
        begin,
        count,
        slice,
        (at, values) -> residual.survey(begin + at, values.byteSize() / 4, values));
  }

  @Override
  public void encode(long begin, long count, MemorySegment slice, MemorySegment codes) {
    byChunk(
        begin,
        count,
        slice,
        (at, values) -> {
          long length = values.byteSize() / 4;
          residual.encode(
              begin + at,
              length,
              values,
              codes.asSlice(scheme.codeBytes(at), scheme.codeBytes(length)));
        });
  }

  /// Gives the residual's source, F32, piece by piece with its place in the slice.
  private void byChunk(
      long begin, long count, MemorySegment slice, BiConsumer<Long, MemorySegment> use) {
    FloatReader reader = FloatReader.of(source);
    FloatWriter writer = FloatWriter.of(DType.F32);
    float[] values = new float[Math.toIntExact(Math.min(step, count))];
    MemorySegment bytes = MemorySegment.ofArray(new byte[Math.multiplyExact(4, values.length)]);
    for (long at = 0; at < count; at += step) {
      int length = (int) Math.min(step, count - at);
      reader.read(slice, at, values, length);
      for (int row = 0; row < length / columns; row++) {
        squares[(int) ((begin + at) / columns) + row] = branch.squares(values, row * columns);
      }
      branch.toResidual(begin + at, values, 0, length);
      writer.write(values, length, bytes, 0);
      use.accept(at, bytes.asSlice(0, 4L * length));
    }
  }

  @Override
  public OptionalLong nonFinite() {
    return residual.nonFinite();
  }

  @Override
  public Map<Part, MemorySegment> finish() {
    Map<Part, MemorySegment> parts = new EnumMap<>(residual.finish());
    parts.putAll(branch.parts(statistics));
    return parts;
  }

  /// Of the scaled weight: what the residual loses is lost of the whole.
  @Override
  public QuantError error() {
    QuantError lost = residual.error();
    double size = Arrays.stream(squares).sum();
    return new QuantError(lost.elements(), size, lost.sumSquaredErrors(), lost.maxError());
  }
}
