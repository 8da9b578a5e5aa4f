package dev.nibble.formats.internal.simd;

import static dev.nibble.formats.internal.simd.GgmlMath.LEAST_MAGNITUDE;
import static dev.nibble.formats.internal.simd.GgmlMath.WHOLE;
import static dev.nibble.formats.internal.simd.GgmlMath.WHOLE_MASK;
import static dev.nibble.formats.internal.simd.VectorFloats.FLOATS;
import static jdk.incubator.vector.VectorOperators.ABS;
import static jdk.incubator.vector.VectorOperators.AND;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.LT;
import static jdk.incubator.vector.VectorOperators.OR;
import static jdk.incubator.vector.VectorOperators.SQRT;

import dev.nibble.formats.internal.simd.SearchGroups.Weighting;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/// Groups in lanes, which the searches of {@link VectorBlockSearch} share: the numbers of one index
/// of {@link #LANES} groups stand in one vector.
///
/// Codes are kept as floats; 1.5 * 2^23 plus a small integer is a float whose bits order like the
/// integer, so that rounding, clamping and going back to a float take five operations.
final class VectorLanes {
  static final int LANES = FLOATS.length();
  static final VectorSpecies<Byte> BYTES =
      VectorSpecies.of(byte.class, VectorShape.forBitSize(FLOATS.vectorBitSize() / 4));

  /// Sign and exponent of {@link GgmlMath#WHOLE}.
  private static final int WHOLE_EXPONENT = 0x4b000000;

  static final int WHOLE_BITS = 0x4b400000;

  // Names in SearchGroups.laneState that several searches use; they have more of their own.
  static final int EXTREME = 0;
  static final int SUM_QX = 1;
  static final int SUM_QQ = 2;
  static final int BEST = 3;
  static final int SCALE = 4;
  static final int BEST_INVERSE = 5;

  private VectorLanes() {}

  /// Whether kernels of ggml's blocks run here: groups of 16 numbers must fill whole vectors.
  static boolean isSupported() {
    return LANES <= SearchGroups.LANES;
  }

  /// Nearest integers, clamped, as floats; see {@link GgmlMath#nearest}.
  static FloatVector nearest(FloatVector v, int low, int high) {
    return bits(v, low, high).reinterpretAsFloats().sub(WHOLE);
  }

  static IntVector bits(FloatVector v, int low, int high) {
    return v.add(WHOLE)
        .reinterpretAsInts()
        .lanewise(AND, WHOLE_MASK)
        .lanewise(OR, WHOLE_EXPONENT)
        .max(WHOLE_BITS + low)
        .min(WHOLE_BITS + high);
  }

  static FloatVector at(float[] lanes, int i) {
    return FloatVector.fromArray(FLOATS, lanes, i * LANES);
  }

  /// Transposes up to {@link #LANES} groups from `first` on; lanes without a group are 0.
  static void transpose(float[] source, int from, int first, int count, int size, float[] lanes) {
    int filled = Math.min(LANES, count - first);
    for (int lane = 0; lane < filled; lane++) {
      int begin = from + (first + lane) * size;
      for (int i = 0; i < size; i++) {
        lanes[i * LANES + lane] = source[begin + i];
      }
    }
    for (int lane = filled; lane < LANES; lane++) {
      for (int i = 0; i < size; i++) {
        lanes[i * LANES + lane] = 0;
      }
    }
  }

  static void load(SearchGroups groups, int first, Weighting weighting) {
    transpose(groups.x, groups.from, first, groups.count, groups.size, groups.laneX);
    int size = groups.size;
    float[] lanes = groups.laneWeights;
    switch (weighting) {
      case GIVEN -> transpose(groups.weights, 0, first, groups.count, size, lanes);
      case SQUARE -> {
        for (int i = 0; i < size; i++) {
          FloatVector x = at(groups.laneX, i);
          x.mul(x).intoArray(lanes, i * LANES);
        }
      }
      case MAGNITUDE -> weighMagnitudes(groups, FloatVector.zero(FLOATS));
      case RMS_AND_MAGNITUDE -> {
        FloatVector sum = FloatVector.zero(FLOATS);
        for (int i = 0; i < size; i++) {
          FloatVector x = at(groups.laneX, i);
          sum = sum.add(x.mul(x));
        }
        weighMagnitudes(groups, sum.div(size).lanewise(SQRT));
      }
    }
  }

  static void weighMagnitudes(SearchGroups groups, FloatVector base) {
    for (int i = 0; i < groups.size; i++) {
      base.add(at(groups.laneX, i).lanewise(ABS)).intoArray(groups.laneWeights, i * LANES);
    }
  }

  /// Stores the codes of the lanes in the order of the groups.
  static void storeCodes(SearchGroups groups, int first, int offset) {
    int size = groups.size;
    int filled = Math.min(LANES, groups.count - first);
    for (int lane = 0; lane < filled; lane++) {
      int target = (first + lane) * size;
      for (int i = 0; i < size; i++) {
        groups.codes[target + i] = (byte) ((int) groups.laneCodes[i * LANES + lane] + offset);
      }
    }
  }

  static FloatVector get(SearchGroups groups, int state) {
    return at(groups.laneState, state);
  }

  static void put(SearchGroups groups, int state, FloatVector value) {
    value.intoArray(groups.laneState, state * LANES);
  }

  static void storeState(SearchGroups groups, int state, float[] target, int first) {
    int filled = Math.min(LANES, groups.count - first);
    System.arraycopy(groups.laneState, state * LANES, target, first, filled);
  }

  /// The first number of largest magnitude in each lane.
  static FloatVector extreme(SearchGroups groups) {
    float[] xs = groups.laneX;
    FloatVector extreme = FloatVector.zero(FLOATS);
    FloatVector most = FloatVector.zero(FLOATS);
    for (int i = 0; i < groups.size; i++) {
      FloatVector x = at(xs, i);
      FloatVector magnitude = x.lanewise(ABS);
      VectorMask<Float> more = magnitude.compare(GT, most);
      most = most.blend(magnitude, more);
      extreme = extreme.blend(x, more);
    }
    return extreme;
  }

  static VectorMask<Float> isZero(FloatVector extreme) {
    return extreme.lanewise(ABS).compare(LT, LEAST_MAGNITUDE);
  }

  /// Takes the least-squares scale of the sums where it is better than the best so far.
  static VectorMask<Float> acceptSums(SearchGroups groups, FloatVector sumQx, FloatVector sumQq) {
    FloatVector best = get(groups, BEST);
    FloatVector scale = sumQx.div(sumQq);
    VectorMask<Float> better =
        sumQq.compare(GT, 0).and(sumQx.mul(sumQx).compare(GT, best.mul(sumQq)));
    put(groups, SCALE, get(groups, SCALE).blend(scale, better));
    put(groups, BEST, best.blend(scale.mul(sumQx), better));
    return better;
  }
}
