package dev.nibble.formats.nunchaku;

import dev.nibble.formats.LittleEndian;
import java.lang.foreign.MemorySegment;

/// Where nunchaku's kernels expect the numbers of a layer: each matrix is cut into tiles that a
/// warp loads at once, and a tile is laid out lane by lane as the tensor cores take it. A
/// permutation of units of 2 or 4 bytes.
///
/// | matrix | unit | tile | place within the tile |
/// |---|---|---|---|
/// | codes `[out, in]` | 8 codes of a row, the first in the low bits | 128 x 64 | row `16a + 8b + c`, unit `4d + e`: `(a, c, e, b, d)` |
/// | scales `[out, groups]` | bfloat16 | 128 x 1 | row `16a + 8b + 2c + d`: `(a, c, b, d)` |
/// | factors of the low rank | bfloat16 | 16 x 16 | row `8a + b`, column `8c + 2d + e`: `(b, d, a, c, e)` |
///
/// Tiles of codes and scales go along the inputs first, those of the factors along the ranks. Codes
/// are signed here and count from -8 in a {@link dev.nibble.formats.quant.GroupedInt}: bit 3 of
/// each is inverted.
///
/// Source: deepcompressor `backend/nunchaku/utils.py`.
final class NunchakuPacking {
  /// Rows of a tile of codes or scales.
  static final int TILE_ROWS = 128;

  /// Inputs that a kernel walks at a time: two tiles.
  static final int INPUTS = 128;

  /// Rows and columns of a tile of the low rank.
  static final int TILE = 16;

  private static final int CODES_A_UNIT = 8;
  private static final int TILE_UNITS = 64 / CODES_A_UNIT;
  private static final int SIGNS = 0x88888888;

  private final long rows;
  private final long columns;
  private final int unitBytes;
  private final Place place;

  /// Which unit of the packed matrix holds a unit of the plain one.
  @FunctionalInterface
  private interface Place {
    long of(long row, long column);
  }

  private NunchakuPacking(long rows, long columns, int unitBytes, Place place) {
    this.rows = rows;
    this.columns = columns;
    this.unitBytes = unitBytes;
    this.place = place;
  }

  /// Codes of 4 bits, `[out, in]`.
  static NunchakuPacking codes(long out, long in) {
    require(out, TILE_ROWS);
    require(in, INPUTS);
    long units = in / CODES_A_UNIT;
    return new NunchakuPacking(
        out,
        units,
        Integer.BYTES,
        (row, unit) -> {
          long tile = row / TILE_ROWS * (units / TILE_UNITS) + unit / TILE_UNITS;
          long r = row % TILE_ROWS;
          long u = unit % TILE_UNITS;
          return (((tile * 8 + r / 16) * 8 + r % 8) * 4 + u % 4) * 4 + r / 8 % 2 * 2 + u / 4;
        });
  }

  /// Scales `[out, groups]`, or with one group a vector.
  static NunchakuPacking scales(long out, long groups) {
    require(out, TILE_ROWS);
    return new NunchakuPacking(
        out,
        groups,
        Short.BYTES,
        (row, group) -> {
          long r = row % TILE_ROWS;
          long lane = r / 16 * 4 + r / 2 % 4;
          return (row / TILE_ROWS * groups + group) * TILE_ROWS + lane * 4 + r / 8 % 2 * 2 + r % 2;
        });
  }

  /// The left factor, `[out, rank]`.
  static NunchakuPacking up(long out, long rank) {
    require(out, TILE);
    require(rank, TILE);
    return new NunchakuPacking(
        out,
        rank,
        Short.BYTES,
        (row, k) -> tile(row / TILE, k / TILE, rank) + inTile(row % TILE, k % TILE));
  }

  /// The right factor, `[rank, in]`.
  static NunchakuPacking down(long rank, long in) {
    require(in, TILE);
    require(rank, TILE);
    return new NunchakuPacking(
        rank,
        in,
        Short.BYTES,
        (k, column) -> tile(column / TILE, k / TILE, rank) + inTile(k % TILE, column % TILE));
  }

  /// First unit of a tile.
  private static long tile(long feature, long ranks, long rank) {
    return (feature * (rank / TILE) + ranks) * TILE * TILE;
  }

  private static long inTile(long row, long column) {
    return (row % 8 * 4 + column / 2 % 4) * 8 + row / 8 * 4 + column / 8 * 2 + column % 2;
  }

  private static void require(long size, int multiple) {
    if (size <= 0 || size % multiple != 0) {
      throw new IllegalArgumentException(size + " is no multiple of " + multiple);
    }
  }

  long byteSize() {
    return rows * columns * unitBytes;
  }

  /// @param plain row-major
  void pack(MemorySegment plain, MemorySegment packed) {
    for (long row = 0; row < rows; row++) {
      for (long column = 0; column < columns; column++) {
        copy(plain, row * columns + column, packed, place.of(row, column));
      }
    }
  }

  /// The inverse of {@link #pack}.
  void unpack(MemorySegment packed, MemorySegment plain) {
    for (long row = 0; row < rows; row++) {
      for (long column = 0; column < columns; column++) {
        copy(packed, place.of(row, column), plain, row * columns + column);
      }
    }
  }

  private void copy(MemorySegment from, long source, MemorySegment to, long target) {
    if (unitBytes == Integer.BYTES) {
      int codes = from.get(LittleEndian.INT, source * Integer.BYTES);
      to.set(LittleEndian.INT, target * Integer.BYTES, codes ^ SIGNS);
    } else {
      short number = from.get(LittleEndian.SHORT, source * Short.BYTES);
      to.set(LittleEndian.SHORT, target * Short.BYTES, number);
    }
  }
}
