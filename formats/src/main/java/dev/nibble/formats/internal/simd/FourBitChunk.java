package dev.nibble.formats.internal.simd;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import java.lang.foreign.MemorySegment;

/// Working arrays of one thread for a run of blocks that fits the first cache level: source values
/// in, codes and block statistics out. Kernels see plain arrays only, which the compiler knows how
/// to vectorize whatever kind of memory the weight lies in.
///
/// A value `x` of a block with largest magnitude `a` is stored as code of the value `c`; with `d =
/// x - c * a` the statistics of a block are
///
/// | statistic | holds |
/// | --- | --- |
/// | 0 | sum of (d / a)^2 |
/// | 1 | sum of (d / a) * c |
/// | 2 | sum of c^2 |
/// | 3 | largest abs(d) |
///
/// from which the error for any other `a` follows without the source. They are 0 where `a` is 0 or
/// not finite.
public final class FourBitChunk {
  /// What is read and written at once: enough to make the cost of a call small.
  private static final int ELEMENTS = 4096;

  /// What a kernel works on at once, so that its own arrays stay in the cache as well.
  private static final int TILE_ELEMENTS = 2048;

  /// Arrays with one entry a block end at a multiple of this.
  private static final int LANES = 16;

  /// Statistics of a block.
  public static final int STATISTICS = 4;

  public final float[] absmax;

  /// {@link #STATISTICS} numbers a block.
  public final float[] statistics;

  public final byte[] codes;

  final int blockSize;
  final boolean paired;

  /// BF16: two elements an int, the first in the low half. Others: where a kernel may put the bits
  /// of a tile of {@link #floats} in an order of its own.
  final int[] words;

  /// All sources but BF16, for which it is empty.
  final float[] floats;

  /// How many blocks a kernel works on at once.
  final int tileBlocks;

  /// For each block of a tile, one vector of partial results of each statistic.
  final float[] rows;

  /// One a block of a tile.
  final float[] reciprocals;

  private final int capacity;
  private final FloatReader reader;

  /// @param source dtype of the weight, one with {@link DType#isQuantizable()}
  /// @param blockSize a multiple of 32, at most 4096
  public FourBitChunk(DType source, int blockSize) {
    this.blockSize = blockSize;
    reader = FloatReader.of(source);
    paired = source == DType.BF16;
    int elements = Math.max(ELEMENTS, blockSize);
    tileBlocks = Math.max(1, TILE_ELEMENTS / blockSize);
    words = new int[paired ? elements / 2 : tileBlocks * blockSize];
    floats = new float[paired ? 0 : elements];
    codes = new byte[elements / 2];
    capacity = elements / blockSize;
    // A last tile writes whole vectors.
    int padded = capacity + LANES;
    absmax = new float[padded];
    statistics = new float[STATISTICS * padded];
    int paddedTile = Math.ceilDiv(tileBlocks, LANES) * LANES;
    reciprocals = new float[paddedTile];
    rows = new float[STATISTICS * paddedTile * LANES];
  }

  /// How many blocks fit.
  public int capacity() {
    return capacity;
  }

  /// Reads `blocks` whole blocks that begin at element `first` of the source.
  public void load(MemorySegment source, long first, int blocks) {
    int count = blocks * blockSize;
    if (paired) {
      MemorySegment.copy(source, LittleEndian.INT, first * 2, words, 0, count / 2);
    } else {
      reader.read(source, first, floats, count);
    }
  }

  /// Element `index` of what was loaded.
  float value(int index) {
    if (!paired) {
      return floats[index];
    }
    int pair = words[index >> 1];
    return Float.intBitsToFloat((index & 1) == 0 ? pair << 16 : pair & 0xffff0000);
  }
}
