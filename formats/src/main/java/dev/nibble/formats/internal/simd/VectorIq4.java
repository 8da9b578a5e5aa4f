package dev.nibble.formats.internal.simd;

import static dev.nibble.formats.internal.simd.VectorLanes.BEST;
import static dev.nibble.formats.internal.simd.VectorLanes.EXTREME;
import static dev.nibble.formats.internal.simd.VectorLanes.SCALE;
import static dev.nibble.formats.internal.simd.VectorLanes.SUM_QQ;
import static dev.nibble.formats.internal.simd.VectorLanes.SUM_QX;
import static dev.nibble.formats.internal.simd.VectorLanes.acceptSums;
import static dev.nibble.formats.internal.simd.VectorLanes.at;
import static dev.nibble.formats.internal.simd.VectorLanes.extreme;
import static dev.nibble.formats.internal.simd.VectorLanes.get;
import static dev.nibble.formats.internal.simd.VectorLanes.isZero;
import static dev.nibble.formats.internal.simd.VectorLanes.load;
import static dev.nibble.formats.internal.simd.VectorLanes.put;
import static dev.nibble.formats.internal.simd.VectorLanes.storeState;
import static jdk.incubator.vector.VectorOperators.ADD;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.I2B;
import static jdk.incubator.vector.VectorOperators.LE;

import dev.nibble.formats.internal.simd.SearchGroups.Weighting;
import java.util.Arrays;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorSpecies;

/// The part of {@link VectorBlockSearch} that deals with {@link Iq4Table}, in vectors of 512 bits.
///
/// The nearest value is found by two look-ups: numbers fall into 32 cells, 8 wide, each of which
/// holds at most one of the middles between values, as those lie 11.5 or more apart and on no edge
/// of a cell. A number's code is the number of middles below its cell, plus one if it is not below
/// the middle in the cell.
final class VectorIq4 {
  private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_512;
  private static final VectorSpecies<Integer> INTS = IntVector.SPECIES_512;
  private static final VectorSpecies<Byte> BYTES = ByteVector.SPECIES_128;
  private static final int LANES = 16;
  private static final int CELLS = 32;

  private static final float WIDTH = 8;

  /// Added to a number over the width of cells, this gives a float whose lowest bits are the cell's
  /// index.
  private static final float MAGIC = GgmlMath.WHOLE + CELLS / 2;

  private static final int FIRST_CELL = Float.floatToRawIntBits(GgmlMath.WHOLE);

  private static final int[] VALUES = new int[LANES];

  /// The middle in each cell, as float bits; NaN if there is none.
  private static final int[] BOUNDS = new int[CELLS];

  /// Middles below each cell.
  private static final int[] BELOW = new int[CELLS];

  static {
    Arrays.fill(BOUNDS, Float.floatToRawIntBits(Float.NaN));
    for (int code = 0; code < LANES; code++) {
      VALUES[code] = Float.floatToRawIntBits(Iq4Table.value(code));
    }
    for (float middle : Iq4Table.middles()) {
      int cell = (int) Math.rint(middle / WIDTH) + CELLS / 2;
      BOUNDS[cell] = Float.floatToRawIntBits(middle);
      for (int above = cell + 1; above < CELLS; above++) {
        BELOW[above]++;
      }
    }
  }

  /// One step for the groups in the lanes, called through an array as those of {@link
  /// VectorScaleMin}.
  @FunctionalInterface
  private interface Step {
    void run(SearchGroups groups, float numerator);
  }

  private static final Step[] STEPS = {
    VectorIq4::start,
    VectorIq4::sums,
    VectorIq4::acceptFirst,
    VectorIq4::aim,
    VectorIq4::accept,
    VectorIq4::finish
  };

  private static final int START = 0;
  private static final int SUMS = 1;
  private static final int ACCEPT_FIRST = 2;
  private static final int AIM = 3;
  private static final int ACCEPT = 4;
  private static final int FINISH = 5;

  /// The reciprocal scale at hand, in SearchGroups.laneState.
  private static final int INVERSE = 6;

  private VectorIq4() {}

  static boolean isSupported() {
    return FloatVector.SPECIES_PREFERRED.vectorBitSize() >= FLOATS.vectorBitSize();
  }

  private static IntVector nearest(FloatVector x) {
    IntVector cell =
        x.mul(1 / WIDTH).add(MAGIC).reinterpretAsInts().max(FIRST_CELL).min(FIRST_CELL + CELLS - 1);
    FloatVector bound =
        cell.selectFrom(
                IntVector.fromArray(INTS, BOUNDS, 0), IntVector.fromArray(INTS, BOUNDS, LANES))
            .reinterpretAsFloats();
    return cell.selectFrom(
            IntVector.fromArray(INTS, BELOW, 0), IntVector.fromArray(INTS, BELOW, LANES))
        .lanewise(ADD, 1, bound.compare(LE, x).cast(INTS));
  }

  /// The one place that calls steps, as in {@link VectorScaleMin}.
  private static void run(int step, SearchGroups groups, float numerator) {
    STEPS[step].run(groups, numerator);
  }

  /// {@link BlockSearch#table}.
  static void search(SearchGroups groups, Weighting weighting) {
    for (int first = 0; first < groups.count; first += LANES) {
      load(groups, first, weighting);
      run(START, groups, 0);
      run(SUMS, groups, 0);
      run(ACCEPT_FIRST, groups, 0);
      for (int trial = -7; trial <= 7; trial++) {
        run(AIM, groups, trial + Iq4Table.value(0));
        run(SUMS, groups, 0);
        run(ACCEPT, groups, 0);
      }
      run(FINISH, groups, 0);
      storeState(groups, SCALE, groups.scales, first);
    }
  }

  private static void start(SearchGroups groups, float numerator) {
    FloatVector extreme = extreme(groups);
    FloatVector one = FloatVector.broadcast(FLOATS, 1);
    put(groups, EXTREME, extreme);
    put(groups, INVERSE, one.div(extreme.neg().div(Iq4Table.value(0))));
  }

  private static void acceptFirst(SearchGroups groups, float numerator) {
    FloatVector sumQx = get(groups, SUM_QX);
    FloatVector sumQq = get(groups, SUM_QQ);
    FloatVector scale = sumQx.div(sumQq).blend(0, sumQq.compare(GT, 0).not());
    put(groups, SCALE, scale);
    put(groups, BEST, scale.mul(sumQx));
  }

  private static void sums(SearchGroups groups, float numerator) {
    float[] xs = groups.laneX;
    float[] ws = groups.laneWeights;
    FloatVector inverse = get(groups, INVERSE);
    IntVector values = IntVector.fromArray(INTS, VALUES, 0);
    FloatVector sumQx = FloatVector.zero(FLOATS);
    FloatVector sumQq = FloatVector.zero(FLOATS);
    for (int i = 0; i < groups.size; i++) {
      FloatVector x = at(xs, i);
      FloatVector q = nearest(x.mul(inverse)).selectFrom(values).reinterpretAsFloats();
      FloatVector weighted = at(ws, i).mul(q);
      sumQx = sumQx.add(weighted.mul(x));
      sumQq = sumQq.add(weighted.mul(q));
    }
    put(groups, SUM_QX, sumQx);
    put(groups, SUM_QQ, sumQq);
  }

  /// Sets the reciprocal scale that is tried next.
  private static void aim(SearchGroups groups, float numerator) {
    put(groups, INVERSE, FloatVector.broadcast(FLOATS, numerator).div(get(groups, EXTREME)));
  }

  private static void accept(SearchGroups groups, float numerator) {
    acceptSums(groups, get(groups, SUM_QX), get(groups, SUM_QQ));
  }

  private static void finish(SearchGroups groups, float numerator) {
    VectorMask<Float> zero = isZero(get(groups, EXTREME));
    put(groups, SCALE, get(groups, SCALE).blend(0, zero));
  }

  /// {@link BlockSearch#tableCodes}.
  static void codes(SearchGroups groups, float[] reciprocals) {
    int size = groups.size;
    for (int group = 0; group < groups.count; group++) {
      float reciprocal = reciprocals[group];
      if (Float.isNaN(reciprocal)) {
        // Sums overflowed; the last code is what ggml takes.
        Arrays.fill(groups.codes, group * size, (group + 1) * size, (byte) (LANES - 1));
        continue;
      }
      for (int i = group * size; i < (group + 1) * size; i += LANES) {
        FloatVector x = FloatVector.fromArray(FLOATS, groups.x, groups.from + i);
        IntVector code = nearest(x.mul(reciprocal));
        ((ByteVector) code.convertShape(I2B, BYTES, 0)).intoArray(groups.codes, i);
      }
    }
  }
}
