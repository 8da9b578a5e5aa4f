package dev.nibble.formats.quant;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.NibbleKernels;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.EnumMap;
import java.util.Map;

/// The grid of {@link GroupedInt} and, but for the group index, of {@link AffineInt8}, which is
/// `int8:asym` with F32 scales.
final class AffineGrid extends IntegerGrid {
  private final GroupedInt scheme;
  private final boolean indexed;
  private final int largest;
  private final MemorySegment scales;
  private final MemorySegment zeroPoints;
  private final MemorySegment groupIndex;
  private final NibbleKernels nibbles = NibbleKernels.best();

  /// @param indexed whether the scheme can store a group index
  AffineGrid(GroupedInt scheme, boolean indexed, Shape weight, SegmentAllocator statistics) {
    super(scheme.groupSize(), weight);
    long groups = Blocks.of(scheme.groupSize(), weight).count();
    this.scheme = scheme;
    this.indexed = indexed;
    this.largest = (1 << scheme.bits()) - 1;
    this.scales = statistics.allocate(groups * scheme.scale().bits() / 8, 4);
    this.zeroPoints = statistics.allocate(groups, 1);
    this.groupIndex = statistics.allocate(4L * columns, 4);
    for (int column = 0; column < columns; column++) {
      groupIndex.set(LittleEndian.INT, column * 4L, column / groupSize());
    }
  }

  @Override
  public boolean regroup(int[] groupOfInput) {
    if (indexed) {
      MemorySegment.copy(groupOfInput, 0, groupIndex, LittleEndian.INT, 0, columns);
    }
    return indexed;
  }

  @Override
  public Grid fit(long group, float[] values, int at) {
    float high = 0;
    float depth = 0;
    for (int i = at; i < at + groupSize(); i++) {
      high = Math.max(high, values[i]);
      depth = Math.max(depth, -values[i]);
    }
    float step =
        scheme.symmetric() ? Math.max(high, depth) / (largest / 2f) : (high + depth) / largest;
    float scale = requireFinite(ScaleType.round(step, scheme.scale()), group);
    int zero = scheme.symmetric() ? scheme.middle() : zero(depth, scale);
    ScaleType.set(scales, group, scale, scheme.scale());
    zeroPoints.set(JAVA_BYTE, group, (byte) zero);
    return new Affine(scale, zero, largest);
  }

  private int zero(float depth, float scale) {
    return scale == 0 ? 0 : Math.clamp((long) Math.rint(depth / scale), 0, largest);
  }

  private record Affine(float scale, int zero, int largest) implements Grid {
    @Override
    public int code(float value) {
      // Nothing but what is too small for a scale: every code says zero.
      return scale == 0
          ? zero
          : Math.clamp((int) Math.rint(value / scale) + (long) zero, 0, largest);
    }

    @Override
    public float value(int code) {
      return (code - zero) * scale;
    }
  }

  @Override
  public void pack(long firstRow, int rows, byte[] codes, MemorySegment target) {
    if (scheme.bits() == 8) {
      super.pack(firstRow, rows, codes, target);
    } else {
      nibbles.pack(codes, rows * columns, target, 0);
    }
  }

  @Override
  public Map<Part, MemorySegment> finish() {
    Map<Part, MemorySegment> parts = new EnumMap<>(Part.class);
    parts.put(Part.SCALE, scales);
    parts.put(Part.ZERO_POINT, zeroPoints);
    if (indexed) {
      parts.put(Part.GROUP_INDEX, groupIndex);
    }
    return parts;
  }
}
