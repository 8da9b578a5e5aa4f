package dev.nibble.formats.quant;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.internal.simd.FourBitTable;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.EnumMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// The grid of {@link FourBit}. With double quantization the survey settles the offset and the
/// nested absmax, from the weight as it was; the absmax of a group that is fitted later gets the
/// code of that frame that is nearest, and the frame's ends if it lies outside.
final class FourBitGrid implements GridEncoder {
  /// What bitsandbytes keeps the divisor above.
  private static final float TINY = 1e-38f;

  private final FourBit scheme;
  private final int columns;
  private final FourBitTable table;
  private final float[] codebook;
  private final SegmentAllocator statistics;
  private final MemorySegment absmax;
  private final long blocks;
  private final Map<Part, MemorySegment> parts = new EnumMap<>(Part.class);
  private @Nullable Frame frame;

  FourBitGrid(FourBit scheme, Shape weight, SegmentAllocator statistics) {
    this.scheme = scheme;
    this.columns = Math.toIntExact(weight.last());
    this.statistics = statistics;
    this.table = Codebooks.table(scheme.type());
    this.codebook = table.valuesByCode();
    this.blocks = scheme.blocks(weight.elements());
    this.absmax = statistics.allocate(blocks * Float.BYTES, Float.BYTES);
    parts.put(Part.CODEBOOK, statistics.allocateFrom(LittleEndian.FLOAT, codebook));
    parts.put(Part.ABSMAX, absmax);
  }

  /// What 8-bit codes of absmax are relative to.
  ///
  /// @param nestedAbsmax of each 256 blocks
  private record Frame(float offset, MemorySegment nestedAbsmax, MemorySegment codes) {
    /// Stores the absmax of a group and returns what a reader makes of it.
    float store(long group, float exact) {
      float nested = nestedAbsmax.get(LittleEndian.FLOAT, group / DoubleQuant.GROUP * Float.BYTES);
      byte code = DoubleQuant.code(exact - offset, nested);
      codes.set(JAVA_BYTE, group, code);
      return DoubleQuant.decode(code, nested, offset);
    }
  }

  @Override
  public int groupSize() {
    return scheme.blockSize();
  }

  @Override
  public boolean surveys() {
    return scheme.doubleQuant();
  }

  @Override
  public void survey(long firstRow, int rows, float[] values) {
    long first = firstRow * columns / scheme.blockSize();
    for (int block = 0; block < rows * columns / scheme.blockSize(); block++) {
      float magnitude = magnitude(values, block * scheme.blockSize());
      absmax.set(
          LittleEndian.FLOAT,
          (first + block) * Float.BYTES,
          IntegerGrid.requireFinite(magnitude, first + block));
    }
  }

  private float magnitude(float[] values, int at) {
    float max = 0;
    for (int i = at; i < at + scheme.blockSize(); i++) {
      max = Math.max(max, Math.abs(values[i]));
    }
    return max;
  }

  @Override
  public void surveyed() {
    if (!scheme.doubleQuant()) {
      return;
    }
    float offset = IntegerGrid.requireFinite(TorchSum.mean(absmax), 0);
    MemorySegment codes = statistics.allocate(blocks, 1);
    MemorySegment nested =
        statistics.allocate(DoubleQuant.groups(blocks) * Float.BYTES, Float.BYTES);
    new DoubleQuant().quantize(absmax, offset, codes, nested, (_, _, _, _) -> {});
    frame = new Frame(offset, nested, codes);
    parts.put(Part.ABSMAX, codes);
    parts.put(Part.NESTED_ABSMAX, nested);
    parts.put(
        Part.NESTED_CODEBOOK, statistics.allocateFrom(LittleEndian.FLOAT, Codebooks.dynamicMap()));
    parts.put(Part.NESTED_OFFSET, statistics.allocateFrom(LittleEndian.FLOAT, offset));
  }

  @Override
  public Grid fit(long group, float[] values, int at) {
    float exact = IntegerGrid.requireFinite(magnitude(values, at), group);
    if (!scheme.doubleQuant()) {
      absmax.set(LittleEndian.FLOAT, group * Float.BYTES, exact);
      return new Block(exact, exact);
    }
    Frame settled = frame;
    if (settled == null) {
      throw new IllegalStateException("double quantization fits groups after the survey");
    }
    return new Block(exact, settled.store(group, exact));
  }

  private final class Block implements Grid {
    private final float decoded;

    /// Of the absmax that the scheme rounds by.
    private final float reciprocal;

    /// Of the absmax that a reader has.
    private final float decodedReciprocal;

    Block(float exact, float decoded) {
      this.decoded = decoded;
      this.reciprocal = 1f / Math.max(exact, TINY);
      // Double quantization may decode an absmax below zero.
      this.decodedReciprocal =
          1f / (decoded < 0 ? Math.min(decoded, -TINY) : Math.max(decoded, TINY));
    }

    @Override
    public int code(float value) {
      return code(value, reciprocal);
    }

    @Override
    public int nearest(float value) {
      return code(value, decodedReciprocal);
    }

    private int code(float value, float factor) {
      return table.code(table.binOfNormalized(Math.clamp(value * factor, -1f, 1f)));
    }

    @Override
    public float value(int code) {
      return codebook[code] * decoded;
    }
  }

  @Override
  public void pack(long firstRow, int rows, byte[] codes, MemorySegment target) {
    for (int i = 0; i < rows * columns; i += 2) {
      target.set(JAVA_BYTE, i / 2, (byte) (codes[i] << 4 | codes[i + 1]));
    }
  }

  @Override
  public Map<Part, MemorySegment> finish() {
    return parts;
  }
}
