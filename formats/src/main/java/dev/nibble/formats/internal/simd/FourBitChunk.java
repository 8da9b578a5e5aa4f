package dev.nibble.formats.internal.simd;

import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import java.lang.foreign.MemorySegment;

/// Working arrays of one thread for a run of blocks that fits the first cache level: source values
/// in, codes and block statistics out. Kernels see plain arrays only, which the compiler knows how
/// to vectorize whatever kind of memory the weight lies in.
///
/// A value `x` of a block with largest magnitude `a` is stored as code of the value `c`; with `d =
/// x - c * a` (the product rounded to float32, as a reader rounds it) the statistics of a block are
///
/// | array | holds |
/// | --- | --- |
/// | `absmax` | a |
/// | `squared` | sum of (d / a)^2 |
/// | `cross` | sum of (d / a) * c |
/// | `norm` | sum of c^2 |
/// | `worst` | largest abs(d) |
///
/// from which the error for any other `a` follows without the source. They are 0 where `a` is 0 or
/// not finite.
public final class FourBitChunk {
  private static final int ELEMENTS = 8192;

  public final float[] absmax;
  public final float[] squared;
  public final float[] cross;
  public final float[] norm;
  public final float[] worst;
  public final byte[] codes;

  final int blockSize;

  /// BF16 sources: two elements an int, the first in the low half. Empty for other sources.
  final int[] pairs;

  /// All other sources. Empty for BF16.
  final float[] floats;

  private final FloatReader reader;

  /// @param source dtype of the weight, one with {@link DType#isQuantizable()}
  /// @param blockSize a multiple of 32, at most 4096
  public FourBitChunk(DType source, int blockSize) {
    this.blockSize = blockSize;
    reader = FloatReader.of(source);
    int blocks = ELEMENTS / blockSize;
    pairs = new int[source == DType.BF16 ? ELEMENTS / 2 : 0];
    floats = new float[source == DType.BF16 ? 0 : ELEMENTS];
    codes = new byte[ELEMENTS / 2];
    absmax = new float[blocks];
    squared = new float[blocks];
    cross = new float[blocks];
    norm = new float[blocks];
    worst = new float[blocks];
  }

  /// How many blocks fit.
  public int capacity() {
    return absmax.length;
  }

  /// Reads `blocks` whole blocks that begin at element `first` of the source.
  public void load(MemorySegment source, long first, int blocks) {
    int count = blocks * blockSize;
    if (pairs.length > 0) {
      MemorySegment.copy(source, LittleEndian.INT, first * 2, pairs, 0, count / 2);
    } else {
      reader.read(source, first, floats, count);
    }
  }

  /// Element `index` of what was loaded.
  float value(int index) {
    if (floats.length > 0) {
      return floats[index];
    }
    int pair = pairs[index >> 1];
    return Float.intBitsToFloat((index & 1) == 0 ? pair << 16 : pair & 0xffff0000);
  }
}
