package dev.nibble.formats.internal.simd;

import static jdk.incubator.vector.VectorOperators.ADD;
import static jdk.incubator.vector.VectorOperators.AND;
import static jdk.incubator.vector.VectorOperators.B2I;
import static jdk.incubator.vector.VectorOperators.F2D;
import static jdk.incubator.vector.VectorOperators.I2B;
import static jdk.incubator.vector.VectorOperators.I2S;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.LT;
import static jdk.incubator.vector.VectorOperators.MAX;

import dev.nibble.formats.DType;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorSpecies;

/// {@link ScalarFourBit} in vectors of 512 bits, which hold all 16 values of a codebook.
///
/// Every loop was checked in the compiler's output: one operation that it does not know costs a
/// hundredfold. Vectors live in locals of one method, calls between them are small and static.
final class VectorFourBit implements FourBitKernel {
  private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_512;
  private static final VectorSpecies<Integer> INTS = IntVector.SPECIES_512;
  private static final VectorSpecies<Short> SHORTS = ShortVector.SPECIES_512;
  private static final VectorSpecies<Double> DOUBLES = DoubleVector.SPECIES_512;
  private static final VectorSpecies<Float> FLOATS_256 = FloatVector.SPECIES_256;
  private static final VectorSpecies<Short> HALVES = ShortVector.SPECIES_256;
  private static final VectorSpecies<Byte> BYTES = ByteVector.SPECIES_128;
  private static final int LANES = 16;

  private static final int MAGNITUDE = 0x7fffffff;
  private static final float TINY = 1e-38f;

  /// A block whose absmax lies outside has squares that float32 cannot hold, or is not finite: it
  /// is left to the scalar code.
  private static final float SMALLEST = 0x1p-40f;

  private static final float LARGEST = 0x1p60f;

  /// Lanes of two vectors, 16 blocks of one or more partial results each, that the four levels of
  /// {@link #maxRows} bring together: the lower half of each block's, then the upper.
  private static final int[][] FOLDS = {fold(8), fold(4), fold(2), fold(1)};

  /// One pass over the blocks of a tile.
  @FunctionalInterface
  private interface Stage {
    void run(FourBitCells cells, FourBitChunk chunk, int first, int blocks);
  }

  /// The passes of encoding. They are called through this array, and so never inlined into one
  /// method: such a large one would pass the compiler's limit of nodes, where it stops inlining and
  /// leaves vectors as objects in memory (measured: 2.5 times slower).
  private static final Stage[] STAGES = {
    VectorFourBit::magnitudes,
    VectorFourBit::absmax,
    VectorFourBit::encodeBlocks,
    VectorFourBit::foldBlocks,
    VectorFourBit::foldRows
  };

  private static final int[] INTERLEAVE = interleave();

  static boolean isSupported() {
    return FloatVector.SPECIES_PREFERRED.vectorBitSize() >= FLOATS.vectorBitSize();
  }

  private static int[] fold(int half) {
    int[] lanes = new int[2 * LANES];
    for (int i = 0; i < LANES; i++) {
      lanes[i] = i / half * 2 * half + i % half;
      lanes[LANES + i] = lanes[i] + half;
    }
    return lanes;
  }

  private static int[] interleave() {
    int[] lanes = new int[2 * LANES];
    for (int i = 0; i < lanes.length; i++) {
      lanes[i] = i / 2 + i % 2 * LANES;
    }
    return lanes;
  }

  @Override
  public void encode(FourBitTable table, FourBitChunk chunk, int blocks) {
    for (int first = 0; first < blocks; first += chunk.tileBlocks) {
      int count = Math.min(chunk.tileBlocks, blocks - first);
      for (Stage stage : STAGES) {
        stage.run(table.cells(), chunk, first, count);
      }
    }
    for (int block = 0; block < blocks; block++) {
      float absmax = chunk.absmax[block];
      if (!(absmax >= SMALLEST && absmax <= LARGEST)) {
        ScalarFourBit.encodeBlock(table, chunk, block);
      }
    }
  }

  private static void magnitudes(FourBitCells cells, FourBitChunk chunk, int first, int blocks) {
    if (chunk.paired) {
      magnitudesOfPairs(chunk.words, chunk.blockSize, first, blocks, chunk.rows);
    } else {
      split(chunk.floats, chunk.blockSize, first, blocks, chunk.words, chunk.rows);
    }
  }

  private static void absmax(FourBitCells cells, FourBitChunk chunk, int first, int blocks) {
    maxRows(chunk.rows, blocks, chunk.absmax, first);
    for (int i = 0; i < blocks; i++) {
      chunk.reciprocals[i] = 1f / Math.max(chunk.absmax[first + i], TINY);
    }
  }

  /// Largest magnitudes of each block in 16 lanes.
  private static void magnitudesOfPairs(
      int[] pairs, int blockSize, int first, int blocks, float[] rows) {
    int at = first * blockSize / 2;
    for (int block = 0; block < blocks; block++) {
      ShortVector largest = ShortVector.zero(SHORTS);
      for (int end = at + blockSize / 2; at < end; at += LANES) {
        IntVector pair = IntVector.fromArray(INTS, pairs, at);
        largest = largest.max(pair.lanewise(AND, 0x7fff7fff).reinterpretAsShorts());
      }
      IntVector both = largest.reinterpretAsInts();
      both.lanewise(LSHL, 16)
          .max(both)
          .lanewise(AND, 0xffff0000)
          .reinterpretAsFloats()
          .intoArray(rows, block * LANES);
    }
  }

  /// Splits each 32 floats into the 16 even and the 16 odd ones, and finds largest magnitudes.
  private static void split(
      float[] floats, int blockSize, int firstBlock, int blocks, int[] words, float[] rows) {
    IntVector even = IntVector.zero(INTS).addIndex(2);
    IntVector odd = IntVector.broadcast(INTS, 1).addIndex(2);
    int origin = firstBlock * blockSize;
    int at = origin;
    for (int block = 0; block < blocks; block++) {
      IntVector largest = IntVector.zero(INTS);
      for (int end = at + blockSize; at < end; at += 2 * LANES) {
        IntVector first = FloatVector.fromArray(FLOATS, floats, at).reinterpretAsInts();
        IntVector second = FloatVector.fromArray(FLOATS, floats, at + LANES).reinterpretAsInts();
        even.selectFrom(first, second).intoArray(words, at - origin);
        odd.selectFrom(first, second).intoArray(words, at - origin + LANES);
        largest = largest.max(first.lanewise(AND, MAGNITUDE)).max(second.lanewise(AND, MAGNITUDE));
      }
      largest.reinterpretAsFloats().intoArray(rows, block * LANES);
    }
  }

  /// The heart: 32 elements a turn, the 16 even ones in `x0` and the odd ones in `x1`. BF16 pairs
  /// are taken apart by shift and mask; the words of other types come split, and the same two
  /// operations let them pass.
  private static void encodeBlocks(FourBitCells cells, FourBitChunk chunk, int first, int blocks) {
    int[] words = chunk.words;
    byte[] codes = chunk.codes;
    float[] rows = chunk.rows;
    boolean simple = cells.simple;
    int oddWords = chunk.paired ? 0 : LANES;
    int turn = chunk.paired ? LANES : 2 * LANES;
    int blockWords = chunk.paired ? chunk.blockSize / 2 : chunk.blockSize;
    IntVector shift = IntVector.broadcast(INTS, chunk.paired ? 16 : 0);
    IntVector mask = IntVector.broadcast(INTS, chunk.paired ? 0xffff0000 : -1);
    IntVector boundLow = IntVector.fromArray(INTS, cells.bounds, 0);
    IntVector boundHigh = IntVector.fromArray(INTS, cells.bounds, LANES);
    IntVector belowLow = IntVector.fromArray(INTS, cells.below, 0);
    IntVector belowHigh = IntVector.fromArray(INTS, cells.below, LANES);
    IntVector values = IntVector.fromArray(INTS, cells.values, 0);
    int at = chunk.paired ? first * blockWords : 0;
    int out = first * chunk.blockSize / 2;
    FloatVector squared = FloatVector.zero(FLOATS);
    FloatVector cross = FloatVector.zero(FLOATS);
    FloatVector norm = FloatVector.zero(FLOATS);
    IntVector worst = IntVector.zero(INTS);
    int turnsOfBlock = chunk.blockSize / (2 * LANES);
    int log = Integer.numberOfTrailingZeros(turnsOfBlock);
    int turns = blocks << log;
    float[] absmaxes = chunk.absmax;
    float[] reciprocals = chunk.reciprocals;
    for (int i = 0; i < turns; i++) {
      int block = i >> log;
      FloatVector minusAbsmax = FloatVector.broadcast(FLOATS, -absmaxes[first + block]);
      FloatVector reciprocal = FloatVector.broadcast(FLOATS, reciprocals[block]);
      FloatVector x0 =
          IntVector.fromArray(INTS, words, at).lanewise(LSHL, shift).reinterpretAsFloats();
      FloatVector x1 =
          IntVector.fromArray(INTS, words, at + oddWords).and(mask).reinterpretAsFloats();
      FloatVector v0 = x0.mul(reciprocal);
      FloatVector v1 = x1.mul(reciprocal);
      IntVector bin0 = bins(v0, boundLow, boundHigh, belowLow, belowHigh);
      IntVector bin1 = bins(v1, boundLow, boundHigh, belowLow, belowHigh);
      IntVector code0 = bin0;
      IntVector code1 = bin1;
      if (!simple) {
        bin0 = spareBins(cells, v0, bin0);
        bin1 = spareBins(cells, v1, bin1);
        code0 = bin0.selectFrom(IntVector.fromArray(INTS, cells.codes, 0));
        code1 = bin1.selectFrom(IntVector.fromArray(INTS, cells.codes, 0));
      }
      ((ByteVector) code0.lanewise(LSHL, 4).or(code1).convertShape(I2B, BYTES, 0))
          .intoArray(codes, out);
      out += LANES;
      FloatVector c0 = bin0.selectFrom(values).reinterpretAsFloats();
      FloatVector c1 = bin1.selectFrom(values).reinterpretAsFloats();
      FloatVector d0 = c0.fma(minusAbsmax, x0);
      FloatVector d1 = c1.fma(minusAbsmax, x1);
      squared = d1.fma(d1, d0.fma(d0, squared));
      cross = d1.fma(c1, d0.fma(c0, cross));
      norm = c1.fma(c1, c0.fma(c0, norm));
      // Magnitudes of floats are in the order of their bits as ints.
      worst = worst.max(d0.reinterpretAsInts().lanewise(AND, MAGNITUDE));
      worst = worst.max(d1.reinterpretAsInts().lanewise(AND, MAGNITUDE));
      at += turn;
      if (((i + 1) & (turnsOfBlock - 1)) == 0) {
        int row = block * FourBitChunk.STATISTICS * LANES;
        squared.mul(reciprocal).mul(reciprocal).intoArray(rows, row);
        cross.mul(reciprocal).intoArray(rows, row + LANES);
        norm.intoArray(rows, row + 2 * LANES);
        worst.reinterpretAsFloats().intoArray(rows, row + 3 * LANES);
        squared = FloatVector.zero(FLOATS);
        cross = FloatVector.zero(FLOATS);
        norm = FloatVector.zero(FLOATS);
        worst = IntVector.zero(INTS);
      }
    }
  }

  /// Adds the lower to the upper half of each block of lanes that `lower` and `upper` name, see
  /// {@link #FOLDS}.
  private static FloatVector add(FloatVector a, FloatVector b, IntVector lower, IntVector upper) {
    IntVector first = a.reinterpretAsInts();
    IntVector second = b.reinterpretAsInts();
    return lower
        .selectFrom(first, second)
        .reinterpretAsFloats()
        .add(upper.selectFrom(first, second).reinterpretAsFloats());
  }

  /// {@link #add}, but the larger of both in the lanes `most`, which are not negative.
  private static FloatVector merge(
      FloatVector a, FloatVector b, IntVector lower, IntVector upper, VectorMask<Integer> most) {
    IntVector first = lower.selectFrom(a.reinterpretAsInts(), b.reinterpretAsInts());
    IntVector second = upper.selectFrom(a.reinterpretAsInts(), b.reinterpretAsInts());
    return first
        .reinterpretAsFloats()
        .add(second.reinterpretAsFloats())
        .reinterpretAsInts()
        .blend(first.max(second), most)
        .reinterpretAsFloats();
  }

  /// See {@link FourBitCells}; `selectFrom` takes the lowest five bits of an index.
  private static IntVector bins(
      FloatVector v,
      IntVector boundLow,
      IntVector boundHigh,
      IntVector belowLow,
      IntVector belowHigh) {
    IntVector cell = v.fma(FourBitCells.SCALE, FourBitCells.MAGIC).reinterpretAsInts();
    FloatVector bound = cell.selectFrom(boundLow, boundHigh).reinterpretAsFloats();
    return cell.selectFrom(belowLow, belowHigh).lanewise(ADD, 1, bound.compare(LT, v).cast(INTS));
  }

  private static IntVector spareBins(FourBitCells cells, FloatVector v, IntVector bin) {
    FloatVector first = FloatVector.broadcast(FLOATS, cells.spare[0]);
    FloatVector second = FloatVector.broadcast(FLOATS, cells.spare[1]);
    return bin.lanewise(ADD, 1, first.compare(LT, v).cast(INTS))
        .lanewise(ADD, 1, second.compare(LT, v).cast(INTS));
  }

  /// Merges the 16 partial results of each statistic of a block, which stand in a vector for each,
  /// to four of each in one vector.
  private static void foldBlocks(FourBitCells cells, FourBitChunk chunk, int first, int blocks) {
    float[] rows = chunk.rows;
    IntVector lower8 = IntVector.fromArray(INTS, FOLDS[0], 0);
    IntVector upper8 = IntVector.fromArray(INTS, FOLDS[0], LANES);
    IntVector lower4 = IntVector.fromArray(INTS, FOLDS[1], 0);
    IntVector upper4 = IntVector.fromArray(INTS, FOLDS[1], LANES);
    VectorMask<Integer> most8 = VectorMask.fromLong(INTS, 0xff00);
    VectorMask<Integer> most4 = VectorMask.fromLong(INTS, 0xf000);
    for (int row = 0; row < blocks; row++) {
      int at = row * FourBitChunk.STATISTICS * LANES;
      FloatVector squared = FloatVector.fromArray(FLOATS, rows, at);
      FloatVector cross = FloatVector.fromArray(FLOATS, rows, at + LANES);
      FloatVector norm = FloatVector.fromArray(FLOATS, rows, at + 2 * LANES);
      FloatVector worst = FloatVector.fromArray(FLOATS, rows, at + 3 * LANES);
      FloatVector sums = add(squared, cross, lower8, upper8);
      FloatVector mixed = merge(norm, worst, lower8, upper8, most8);
      merge(sums, mixed, lower4, upper4, most4).intoArray(rows, row * LANES);
    }
  }

  /// Merges the four partial results of each statistic, for four blocks at a time.
  private static void foldRows(FourBitCells cells, FourBitChunk chunk, int first, int blocks) {
    float[] rows = chunk.rows;
    IntVector lower2 = IntVector.fromArray(INTS, FOLDS[2], 0);
    IntVector upper2 = IntVector.fromArray(INTS, FOLDS[2], LANES);
    IntVector lower1 = IntVector.fromArray(INTS, FOLDS[3], 0);
    IntVector upper1 = IntVector.fromArray(INTS, FOLDS[3], LANES);
    VectorMask<Integer> most2 = VectorMask.fromLong(INTS, 0b11000000_11000000);
    VectorMask<Integer> most1 = VectorMask.fromLong(INTS, 0b10001000_10001000);
    for (int row = 0; row < blocks; row += 4) {
      int at = row * LANES;
      FloatVector a = FloatVector.fromArray(FLOATS, rows, at);
      FloatVector b = FloatVector.fromArray(FLOATS, rows, at + LANES);
      FloatVector c = FloatVector.fromArray(FLOATS, rows, at + 2 * LANES);
      FloatVector d = FloatVector.fromArray(FLOATS, rows, at + 3 * LANES);
      FloatVector ab = merge(a, b, lower2, upper2, most2);
      FloatVector cd = merge(c, d, lower2, upper2, most2);
      merge(ab, cd, lower1, upper1, most1)
          .intoArray(chunk.statistics, (first + row) * FourBitChunk.STATISTICS);
    }
  }

  /// Finds the largest of the 16 lanes of each of `count` rows, 16 rows at a time: a tree of 15
  /// vector operations gives all 16, in order. Values are not negative; NaN counts as largest.
  /// Overwrites the rows.
  private static void maxRows(float[] rows, int count, float[] largest, int firstLargest) {
    for (int row = 0; row < count; row += LANES) {
      int at = row * LANES;
      for (int level = 0; level < FOLDS.length; level++) {
        IntVector lower = IntVector.fromArray(INTS, FOLDS[level], 0);
        IntVector upper = IntVector.fromArray(INTS, FOLDS[level], LANES);
        for (int i = at, end = at + (8 >> level) * LANES; i < end; i += LANES) {
          IntVector a = FloatVector.fromArray(FLOATS, rows, 2 * i - at).reinterpretAsInts();
          IntVector b = FloatVector.fromArray(FLOATS, rows, 2 * i - at + LANES).reinterpretAsInts();
          IntVector most = lower.selectFrom(a, b).max(upper.selectFrom(a, b));
          most.reinterpretAsFloats().intoArray(rows, i);
        }
      }
      FloatVector.fromArray(FLOATS, rows, at).intoArray(largest, firstLargest + row);
    }
  }

  @Override
  public void tables(float[] codebook, float[] absmax, int blocks, float[] tables) {
    FloatVector values = FloatVector.fromArray(FLOATS, codebook, 0);
    for (int block = 0; block < blocks; block++) {
      values.mul(absmax[block]).intoArray(tables, block * LANES);
    }
  }

  @Override
  public void round(float[] values, int count, DType type, short[] target) {
    for (int i = 0; i < count; i += LANES) {
      IntVector bits = FloatVector.fromArray(FLOATS, values, i).reinterpretAsInts();
      IntVector half = type == DType.BF16 ? VectorFloats.toBf16(bits) : VectorFloats.toF16(bits);
      ((ShortVector) half.convertShape(I2S, HALVES, 0)).intoArray(target, i);
    }
  }

  @Override
  public void lookup(byte[] codes, int blocks, int blockSize, float[] tables, float[] target) {
    // Even elements are lanes 0..15 of two vectors, odd ones lanes 16..31: element i of both.
    IntVector first = IntVector.fromArray(INTS, INTERLEAVE, 0);
    IntVector second = IntVector.fromArray(INTS, INTERLEAVE, LANES);
    int at = 0;
    for (int block = 0; block < blocks; block++) {
      IntVector table = FloatVector.fromArray(FLOATS, tables, block * LANES).reinterpretAsInts();
      for (int end = at + blockSize / 2; at < end; at += LANES) {
        IntVector bytes =
            (IntVector) ByteVector.fromArray(BYTES, codes, at).convertShape(B2I, INTS, 0);
        IntVector even = bytes.lanewise(LSHR, 4).lanewise(AND, 15).selectFrom(table);
        IntVector odd = bytes.lanewise(AND, 15).selectFrom(table);
        first.selectFrom(even, odd).reinterpretAsFloats().intoArray(target, 2 * at);
        second.selectFrom(even, odd).reinterpretAsFloats().intoArray(target, 2 * at + LANES);
      }
    }
  }

  /// Sixteen bytes a turn, each spread to a pair of shorts that index the block's table.
  @Override
  public void lookup(byte[] codes, int blocks, int blockSize, short[] tables, short[] target) {
    int at = 0;
    for (int block = 0; block < blocks; block++) {
      // Only the lower half of the 32 lanes is ever looked up.
      ShortVector table = ShortVector.fromArray(SHORTS, tables, block * LANES);
      for (int end = at + blockSize / 2; at < end; at += LANES) {
        IntVector bytes =
            (IntVector) ByteVector.fromArray(BYTES, codes, at).convertShape(B2I, INTS, 0);
        IntVector high = bytes.lanewise(LSHR, 4).lanewise(AND, 15);
        IntVector low = bytes.lanewise(AND, 15).lanewise(LSHL, 16);
        high.or(low).reinterpretAsShorts().selectFrom(table).intoArray(target, 2 * at);
      }
    }
  }

  /// {@link FourBitErrors#add}, eight blocks at a time.
  @Override
  public void sumErrors(FourBitErrors errors, float[] exact, float[] decoded, int count) {
    DoubleVector squares = DoubleVector.zero(DOUBLES);
    DoubleVector squaredErrors = DoubleVector.zero(DOUBLES);
    DoubleVector most = DoubleVector.zero(DOUBLES);
    int bound = DOUBLES.loopBound(count);
    IntVector every4 = IntVector.zero(INTS).addIndex(FourBitChunk.STATISTICS);
    for (int i = 0; i < bound; i += DOUBLES.length()) {
      int at = i * FourBitChunk.STATISTICS;
      IntVector low = FloatVector.fromArray(FLOATS, errors.statistics, at).reinterpretAsInts();
      IntVector high =
          FloatVector.fromArray(FLOATS, errors.statistics, at + LANES).reinterpretAsInts();
      DoubleVector a = doubles(FloatVector.fromArray(FLOATS_256, exact, i));
      DoubleVector change = a.sub(doubles(FloatVector.fromArray(FLOATS_256, decoded, i)));
      DoubleVector d2 = doubles(every4.selectFrom(low, high)).mul(a).mul(a);
      DoubleVector dc = doubles(every4.add(1).selectFrom(low, high)).mul(a);
      DoubleVector c2 = doubles(every4.add(2).selectFrom(low, high));
      DoubleVector worst = doubles(every4.add(3).selectFrom(low, high));
      squares = squares.add(a.mul(a).mul(c2).add(a.mul(dc).mul(2)).add(d2));
      squaredErrors = squaredErrors.add(d2.add(change.mul(dc.mul(2).add(change.mul(c2)))));
      most = most.max(worst.add(change.abs()));
    }
    errors.sumSquares += squares.reduceLanes(ADD);
    errors.sumSquaredErrors += squaredErrors.reduceLanes(ADD);
    errors.maxError = Math.max(errors.maxError, most.reduceLanes(MAX));
    for (int i = bound; i < count; i++) {
      errors.add(i, exact[i], decoded[i]);
    }
  }

  private static DoubleVector doubles(FloatVector eight) {
    return (DoubleVector) eight.convertShape(F2D, DOUBLES, 0);
  }

  /// The first eight lanes.
  private static DoubleVector doubles(IntVector bits) {
    return (DoubleVector) bits.reinterpretAsFloats().convertShape(F2D, DOUBLES, 0);
  }
}
