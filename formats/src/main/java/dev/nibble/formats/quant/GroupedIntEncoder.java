package dev.nibble.formats.quant;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.Int8Kernels;
import dev.nibble.formats.internal.simd.NibbleKernels;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.EnumMap;
import java.util.Map;
import java.util.OptionalLong;

/// Makes {@link GroupedInt} weights: a byte a code, of which two become one where codes have 4
/// bits.
final class GroupedIntEncoder implements WeightEncoder {
  /// Codes that are made before they are packed: a part of the first cache.
  private static final int CHUNK = 1 << 13;

  private final GroupedInt scheme;
  private final Shape weight;
  private final DType source;
  private final SegmentAllocator statistics;
  private final Grid grid;
  private final NibbleKernels nibbles = NibbleKernels.best();

  GroupedIntEncoder(
      GroupedInt scheme,
      Shape weight,
      DType source,
      SegmentAllocator statistics,
      Int8Kernels kernels) {
    this.scheme = scheme;
    this.weight = weight;
    this.source = source;
    this.statistics = statistics;
    this.grid = new Grid(scheme, weight, source, statistics, kernels);
  }

  @Override
  public void encode(long begin, long count, MemorySegment slice, MemorySegment codes) {
    if (scheme.bits() == 8) {
      grid.encode(begin, count, slice, codes);
      return;
    }
    if (codes.byteSize() != scheme.codeBytes(count)) {
      throw new IllegalArgumentException(
          count + " codes of 4 bits need another place than " + codes.byteSize() + " bytes");
    }
    long alignment = scheme.sliceAlignment(weight);
    long step = Math.max(alignment, CHUNK / alignment * alignment);
    byte[] bytes = new byte[Math.toIntExact(Math.min(step, count))];
    BlockEncoder.Work work = grid.work(bytes.length);
    for (long done = 0; done < count; done += step) {
      int length = (int) Math.min(step, count - done);
      MemorySegment piece = slice.asSlice(source.byteSize(done), source.byteSize(length));
      grid.encode(
          work, begin + done, length, piece, MemorySegment.ofArray(bytes).asSlice(0, length));
      nibbles.pack(bytes, length, codes, done / 2);
    }
  }

  @Override
  public OptionalLong nonFinite() {
    return grid.nonFinite();
  }

  @Override
  public Map<Part, MemorySegment> finish() {
    Map<Part, MemorySegment> parts = new EnumMap<>(grid.finish());
    long columns = weight.last();
    MemorySegment index = statistics.allocate(4 * columns, 4);
    long size = scheme.groupSize() == 0 ? columns : scheme.groupSize();
    for (long column = 0; column < columns; column++) {
      index.set(LittleEndian.INT, column * 4, (int) (column / size));
    }
    parts.put(Part.GROUP_INDEX, index);
    return parts;
  }

  @Override
  public QuantError error() {
    return grid.error();
  }

  /// Codes of a byte, with the grid of each group.
  private static final class Grid extends BlockEncoder {
    private final GroupedInt scheme;
    private final int largest;
    private final MemorySegment scales;
    private final MemorySegment zeroPoints;

    Grid(
        GroupedInt scheme,
        Shape weight,
        DType source,
        SegmentAllocator statistics,
        Int8Kernels kernels) {
      super(Blocks.of(scheme.groupSize(), weight), source, statistics, kernels);
      long groups = Blocks.of(scheme.groupSize(), weight).count();
      this.scheme = scheme;
      this.largest = (1 << scheme.bits()) - 1;
      this.scales = statistics.allocate(groups * scheme.scale().bits() / 8, 4);
      this.zeroPoints = statistics.allocate(groups, 1);
    }

    @Override
    void measure(float[] x, int from, int to, Block block) {
      if (scheme.symmetric()) {
        block.high = Math.max(block.high, kernels.absmaxBits(x, from, to));
      } else {
        long range = kernels.rangeBits(x, from, to);
        block.high = Math.max(block.high, (int) (range >>> 32));
        block.low = Math.max(block.low, (int) range);
      }
    }

    @Override
    void settle(Block block) {
      float high = Float.intBitsToFloat(block.high);
      float depth = Float.intBitsToFloat(block.low);
      float step = scheme.symmetric() ? high / (largest / 2f) : (high + depth) / largest;
      float scale = ScaleType.round(step, scheme.scale());
      block.finite &= Float.isFinite(scale);
      block.scale = scale;
      block.zero = scheme.symmetric() || !block.finite ? scheme.middle() : zero(depth, scale);
      ScaleType.set(scales, block.index, block.finite ? scale : Float.NaN, scheme.scale());
      zeroPoints.set(JAVA_BYTE, block.index, (byte) block.zero);
    }

    private int zero(float depth, float scale) {
      return scale == 0 ? 0 : Math.clamp((long) Math.rint(depth / scale), 0, largest);
    }

    @Override
    void quantize(Work work, int from, int to, MemorySegment codes, long at) {
      Block block = work.block;
      if (block.scale == 0) {
        // Nothing but what is too small for a scale: every code says zero.
        kernels.multiply(work.x, work.x, from, to, 0, 0, 1, codes, at, work.error);
        codes.asSlice(at, to - from).fill((byte) block.zero);
        return;
      }
      kernels.affine(work.x, from, to, block.scale, block.zero, largest, codes, at, work.error);
    }

    @Override
    byte blankCode() {
      return (byte) scheme.middle();
    }

    @Override
    Map<Part, MemorySegment> parts() {
      return Map.of(Part.SCALE, scales, Part.ZERO_POINT, zeroPoints);
    }
  }
}
