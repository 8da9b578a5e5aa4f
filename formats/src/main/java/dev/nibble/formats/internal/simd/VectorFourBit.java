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
  /// {@link #sumRows} bring together: the lower half of each block's, then the upper.
  private static final int[][] FOLDS = {fold(8), fold(4), fold(2), fold(1)};

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
      encodeTile(table, chunk, first, Math.min(chunk.tileBlocks, blocks - first));
    }
    for (int block = 0; block < blocks; block++) {
      float absmax = chunk.absmax[block];
      if (!(absmax >= SMALLEST && absmax <= LARGEST)) {
        ScalarFourBit.encodeBlock(table, chunk, block);
      }
    }
  }

  private static void encodeTile(FourBitTable table, FourBitChunk chunk, int first, int blocks) {
    float[][] rows = chunk.rows;
    if (chunk.paired) {
      magnitudesOfPairs(chunk.words, chunk.blockSize, first, blocks, rows[0]);
    } else {
      split(chunk.floats, chunk.blockSize, first, blocks, chunk.words, rows[0]);
    }
    maxRows(rows[0], blocks, chunk.absmax, first);
    for (int i = 0; i < blocks; i++) {
      chunk.reciprocals[i] = 1f / Math.max(chunk.absmax[first + i], TINY);
    }
    encodeBlocks(table.cells(), chunk, first, blocks);
    sumRows(rows[0], blocks, chunk.squared, first);
    sumRows(rows[1], blocks, chunk.cross, first);
    sumRows(rows[2], blocks, chunk.norm, first);
    maxRows(rows[3], blocks, chunk.worst, first);
    for (int i = 0; i < blocks; i++) {
      float scale = chunk.reciprocals[i];
      chunk.squared[first + i] *= scale * scale;
      chunk.cross[first + i] *= scale;
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
    float[][] rows = chunk.rows;
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
    for (int block = 0; block < blocks; block++) {
      FloatVector minusAbsmax = FloatVector.broadcast(FLOATS, -chunk.absmax[first + block]);
      FloatVector reciprocal = FloatVector.broadcast(FLOATS, chunk.reciprocals[block]);
      FloatVector squared = FloatVector.zero(FLOATS);
      FloatVector cross = FloatVector.zero(FLOATS);
      FloatVector norm = FloatVector.zero(FLOATS);
      IntVector worst = IntVector.zero(INTS);
      for (int end = at + blockWords; at < end; at += turn) {
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
      }
      squared.intoArray(rows[0], block * LANES);
      cross.intoArray(rows[1], block * LANES);
      norm.intoArray(rows[2], block * LANES);
      worst.reinterpretAsFloats().intoArray(rows[3], block * LANES);
    }
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

  /// Sums the 16 lanes of each of `count` rows, 16 rows at a time: a tree of 15 additions gives all
  /// 16 sums, in order. Overwrites the rows.
  private static void sumRows(float[] rows, int count, float[] sums, int firstSum) {
    for (int row = 0; row < count; row += LANES) {
      int at = row * LANES;
      for (int level = 0; level < FOLDS.length; level++) {
        IntVector lower = IntVector.fromArray(INTS, FOLDS[level], 0);
        IntVector upper = IntVector.fromArray(INTS, FOLDS[level], LANES);
        for (int i = at, end = at + (8 >> level) * LANES; i < end; i += LANES) {
          IntVector a = FloatVector.fromArray(FLOATS, rows, 2 * i - at).reinterpretAsInts();
          IntVector b = FloatVector.fromArray(FLOATS, rows, 2 * i - at + LANES).reinterpretAsInts();
          FloatVector low = lower.selectFrom(a, b).reinterpretAsFloats();
          low.add(upper.selectFrom(a, b).reinterpretAsFloats()).intoArray(rows, i);
        }
      }
      FloatVector.fromArray(FLOATS, rows, at).intoArray(sums, firstSum + row);
    }
  }

  /// {@link #sumRows} for the largest of floats that are not negative; NaN counts as largest.
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
    for (int i = 0; i < bound; i += DOUBLES.length()) {
      DoubleVector a = doubles(exact, i);
      DoubleVector change = a.sub(doubles(decoded, i));
      DoubleVector c2 = doubles(errors.norm, i);
      DoubleVector dc = doubles(errors.cross, i).mul(a);
      DoubleVector d2 = doubles(errors.squared, i).mul(a).mul(a);
      squares = squares.add(a.mul(a).mul(c2).add(a.mul(dc).mul(2)).add(d2));
      squaredErrors = squaredErrors.add(d2.add(change.mul(dc.mul(2).add(change.mul(c2)))));
      most = most.max(doubles(errors.worst, i).add(change.abs()));
    }
    errors.sumSquares += squares.reduceLanes(ADD);
    errors.sumSquaredErrors += squaredErrors.reduceLanes(ADD);
    errors.maxError = Math.max(errors.maxError, most.reduceLanes(MAX));
    for (int i = bound; i < count; i++) {
      errors.add(i, exact[i], decoded[i]);
    }
  }

  private static DoubleVector doubles(float[] values, int at) {
    return (DoubleVector)
        FloatVector.fromArray(FLOATS_256, values, at).convertShape(F2D, DOUBLES, 0);
  }
}
