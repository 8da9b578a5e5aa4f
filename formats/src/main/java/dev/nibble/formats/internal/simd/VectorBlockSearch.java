package dev.nibble.formats.internal.simd;

import static dev.nibble.formats.internal.simd.GgmlMath.LEAST_MAGNITUDE;
import static dev.nibble.formats.internal.simd.GgmlMath.WHOLE;
import static dev.nibble.formats.internal.simd.GgmlMath.WHOLE_MASK;
import static dev.nibble.formats.internal.simd.VectorFloats.FLOATS;
import static jdk.incubator.vector.VectorOperators.ABS;
import static jdk.incubator.vector.VectorOperators.AND;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.LT;
import static jdk.incubator.vector.VectorOperators.NE;
import static jdk.incubator.vector.VectorOperators.OR;
import static jdk.incubator.vector.VectorOperators.SQRT;

import dev.nibble.formats.internal.simd.SearchGroups.Weighting;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/// {@link BlockSearch} with a group in each lane. The sums of a group depend on their order, which
/// only allows one addition at a time, but neighbouring groups know nothing of each other: numbers
/// are transposed so that one vector holds the elements of one index, and every lane does what
/// {@link ScalarBlockSearch} does for its group, down to the rounding.
///
/// Codes are kept as floats; 1.5 * 2^23 plus a small integer is a float whose bits order like the
/// integer, so that rounding, clamping and going back to a float take five operations.
final class VectorBlockSearch implements BlockSearch {
  private static final int LANES = FLOATS.length();
  private static final int PASSES = 5;

  /// Sign and exponent of {@link GgmlMath#WHOLE}.
  private static final int WHOLE_EXPONENT = 0x4b000000;

  private static final int WHOLE_BITS = 0x4b400000;

  private final ScalarBlockSearch scalar = new ScalarBlockSearch();

  /// Nearest integers, clamped, as floats; see {@link GgmlMath#nearest}.
  private static FloatVector nearest(FloatVector v, int low, int high) {
    return v.add(WHOLE)
        .reinterpretAsInts()
        .lanewise(AND, WHOLE_MASK)
        .lanewise(OR, WHOLE_EXPONENT)
        .max(WHOLE_BITS + low)
        .min(WHOLE_BITS + high)
        .reinterpretAsFloats()
        .sub(WHOLE);
  }

  private static FloatVector at(float[] lanes, int i) {
    return FloatVector.fromArray(FLOATS, lanes, i * LANES);
  }

  /// Transposes up to {@link #LANES} groups from `first` on; lanes without a group are 0.
  private static void transpose(
      float[] source, int from, int first, int count, int size, float[] lanes) {
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

  private static void load(SearchGroups groups, int first, Weighting weighting) {
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

  private static void weighMagnitudes(SearchGroups groups, FloatVector base) {
    for (int i = 0; i < groups.size; i++) {
      base.add(at(groups.laneX, i).lanewise(ABS)).intoArray(groups.laneWeights, i * LANES);
    }
  }

  /// Stores the codes of the lanes in the order of the groups.
  private static void storeCodes(SearchGroups groups, int first, int offset) {
    int size = groups.size;
    int filled = Math.min(LANES, groups.count - first);
    for (int lane = 0; lane < filled; lane++) {
      int target = (first + lane) * size;
      for (int i = 0; i < size; i++) {
        groups.codes[target + i] = (byte) ((int) groups.laneCodes[i * LANES + lane] + offset);
      }
    }
  }

  /// One step of a search for the groups in the lanes. Steps are called through arrays, and so
  /// never inlined into one method: such a large one would pass the compiler's limit of nodes,
  /// where it leaves vectors as objects in memory (measured: 6 times slower).
  @FunctionalInterface
  private interface Step {
    void run(SearchGroups groups, Trials trials, float number);
  }

  // What laneState holds: of scaleAndMin ...
  private static final int MIN = 0;
  private static final int MAX = 1;
  private static final int SUM_WEIGHTS = 2;
  private static final int SUM_X = 3;
  private static final int SCALE = 4;
  private static final int ERROR = 5;
  private static final int TRIED_SCALE = 6;
  private static final int TRIED_MIN = 7;
  private static final int TRIED_INVERSE = 8;
  // ... the minimum and the reciprocal that the best codes were made with ...
  private static final int BEST_LEAST = 9;
  private static final int BEST_INVERSE = 10;
  // ... 1 for a group of equal numbers ...
  private static final int FLAT = 11;
  // ... and of symmetric and descent.
  private static final int EXTREME = 0;
  private static final int SUM_QX = 1;
  private static final int SUM_QQ = 2;
  private static final int BEST = 3;

  private static final Step[] STEPS = {
    VectorBlockSearch::startScaleAndMin,
    VectorBlockSearch::firstError,
    VectorBlockSearch::firstErrorAbsolute,
    VectorBlockSearch::trySums,
    VectorBlockSearch::tryError,
    VectorBlockSearch::tryErrorAbsolute,
    VectorBlockSearch::finishScaleAndMin,
    VectorBlockSearch::startSymmetric,
    VectorBlockSearch::trySymmetric,
    VectorBlockSearch::finishSymmetric,
    VectorBlockSearch::startDescent,
    VectorBlockSearch::descend
  };

  private static final int START = 0;
  private static final int FIRST_ERROR = 1;
  private static final int TRY_SUMS = 3;
  private static final int TRY_ERROR = 4;
  private static final int FINISH = 6;
  private static final int START_SYMMETRIC = 7;
  private static final int TRY_SYMMETRIC = 8;
  private static final int FINISH_SYMMETRIC = 9;
  private static final int START_DESCENT = 10;
  private static final int DESCEND = 11;

  private static FloatVector get(SearchGroups groups, int state) {
    return at(groups.laneState, state);
  }

  private static void put(SearchGroups groups, int state, FloatVector value) {
    value.intoArray(groups.laneState, state * LANES);
  }

  @Override
  public void scaleAndMin(SearchGroups groups, Trials trials) {
    int absolute = trials.absolute() ? 1 : 0;
    for (int first = 0; first < groups.count; first += LANES) {
      load(groups, first, trials.weighting());
      STEPS[START].run(groups, trials, 0);
      STEPS[FIRST_ERROR + absolute].run(groups, trials, 0);
      for (int trial = 0; trial <= trials.steps(); trial++) {
        float numerator = trials.first() + trials.step() * trial + trials.most();
        STEPS[TRY_SUMS].run(groups, trials, numerator);
        STEPS[TRY_ERROR + absolute].run(groups, trials, 0);
      }
      STEPS[FINISH].run(groups, trials, 0);
      storeCodes(groups, first, 0);
      storeState(groups, SCALE, groups.scales, first);
      storeState(groups, MIN, groups.mins, first);
      storeState(groups, SUM_WEIGHTS, groups.weightSums, first);
    }
  }

  private static void storeState(SearchGroups groups, int state, float[] target, int first) {
    int filled = Math.min(LANES, groups.count - first);
    System.arraycopy(groups.laneState, state * LANES, target, first, filled);
  }

  private static void startScaleAndMin(SearchGroups groups, Trials trials, float number) {
    float[] xs = groups.laneX;
    float[] ws = groups.laneWeights;
    FloatVector min = at(xs, 0);
    FloatVector max = min;
    FloatVector sumWeights = at(ws, 0);
    FloatVector sumX = sumWeights.mul(min);
    for (int i = 1; i < groups.size; i++) {
      FloatVector x = at(xs, i);
      FloatVector w = at(ws, i);
      min = min.blend(x, x.compare(LT, min));
      max = max.blend(x, x.compare(GT, max));
      sumWeights = sumWeights.add(w);
      sumX = sumX.add(w.mul(x));
    }
    min = min.blend(0, min.compare(GT, 0));
    FloatVector inverse = FloatVector.broadcast(FLOATS, trials.most()).div(max.sub(min));
    FloatVector scale = FloatVector.broadcast(FLOATS, 1).div(inverse);
    put(groups, MIN, min);
    put(groups, MAX, max);
    put(groups, FLAT, FloatVector.zero(FLOATS).blend(1, max.eq(min)));
    put(groups, SUM_WEIGHTS, sumWeights);
    put(groups, SUM_X, sumX);
    put(groups, SCALE, scale);
    put(groups, BEST_LEAST, min);
    put(groups, BEST_INVERSE, inverse);
    encode(groups, min, inverse, trials.most());
  }

  private static void encode(SearchGroups groups, FloatVector min, FloatVector inverse, int most) {
    float[] xs = groups.laneX;
    float[] qs = groups.laneCodes;
    for (int i = 0; i < groups.size; i++) {
      nearest(at(xs, i).sub(min).mul(inverse), 0, most).intoArray(qs, i * LANES);
    }
  }

  private static void firstError(SearchGroups groups, Trials trials, float number) {
    put(groups, ERROR, error(groups, get(groups, SCALE), get(groups, MIN)));
  }

  private static void firstErrorAbsolute(SearchGroups groups, Trials trials, float number) {
    put(groups, ERROR, errorAbsolute(groups, get(groups, SCALE), get(groups, MIN)));
  }

  private static FloatVector error(SearchGroups groups, FloatVector scale, FloatVector min) {
    float[] xs = groups.laneX;
    float[] ws = groups.laneWeights;
    float[] qs = groups.laneCodes;
    FloatVector sum = FloatVector.zero(FLOATS);
    for (int i = 0; i < groups.size; i++) {
      FloatVector difference = at(qs, i).mul(scale).add(min).sub(at(xs, i));
      sum = sum.add(at(ws, i).mul(difference.mul(difference)));
    }
    return sum;
  }

  private static FloatVector errorAbsolute(
      SearchGroups groups, FloatVector scale, FloatVector min) {
    float[] xs = groups.laneX;
    float[] ws = groups.laneWeights;
    float[] qs = groups.laneCodes;
    FloatVector sum = FloatVector.zero(FLOATS);
    for (int i = 0; i < groups.size; i++) {
      FloatVector difference = at(qs, i).mul(scale).add(min).sub(at(xs, i));
      sum = sum.add(at(ws, i).mul(difference.lanewise(ABS)));
    }
    return sum;
  }

  private static void trySums(SearchGroups groups, Trials trials, float numerator) {
    float[] xs = groups.laneX;
    float[] ws = groups.laneWeights;
    float[] qs = groups.laneCodes;
    int most = trials.most();
    FloatVector min = get(groups, MIN);
    FloatVector inverse = FloatVector.broadcast(FLOATS, numerator).div(get(groups, MAX).sub(min));
    FloatVector sumQ = FloatVector.zero(FLOATS);
    FloatVector sumQq = FloatVector.zero(FLOATS);
    FloatVector sumQx = FloatVector.zero(FLOATS);
    for (int i = 0; i < groups.size; i++) {
      FloatVector x = at(xs, i);
      FloatVector q = nearest(x.sub(min).mul(inverse), 0, most);
      q.intoArray(qs, i * LANES);
      FloatVector weighted = at(ws, i).mul(q);
      sumQ = sumQ.add(weighted);
      sumQq = sumQq.add(weighted.mul(q));
      sumQx = sumQx.add(weighted.mul(x));
    }
    FloatVector sumWeights = get(groups, SUM_WEIGHTS);
    FloatVector sumX = get(groups, SUM_X);
    FloatVector determinant = sumWeights.mul(sumQq).sub(sumQ.mul(sumQ));
    FloatVector scale = sumWeights.mul(sumQx).sub(sumX.mul(sumQ)).div(determinant);
    FloatVector newMin = sumQq.mul(sumX).sub(sumQ.mul(sumQx)).div(determinant);
    VectorMask<Float> above = newMin.compare(GT, 0);
    scale = scale.blend(sumQx.div(sumQq), above);
    // No error is below that of a scale that is NaN.
    scale = scale.blend(Float.NaN, determinant.compare(GT, 0).not());
    put(groups, TRIED_INVERSE, inverse);
    put(groups, TRIED_SCALE, scale);
    put(groups, TRIED_MIN, newMin.blend(0, above));
  }

  private static void tryError(SearchGroups groups, Trials trials, float number) {
    accept(groups, error(groups, get(groups, TRIED_SCALE), get(groups, TRIED_MIN)));
  }

  private static void tryErrorAbsolute(SearchGroups groups, Trials trials, float number) {
    accept(groups, errorAbsolute(groups, get(groups, TRIED_SCALE), get(groups, TRIED_MIN)));
  }

  private static void accept(SearchGroups groups, FloatVector triedError) {
    FloatVector error = get(groups, ERROR);
    FloatVector min = get(groups, MIN);
    VectorMask<Float> better = triedError.compare(LT, error);
    put(groups, ERROR, error.blend(triedError, better));
    put(groups, SCALE, get(groups, SCALE).blend(get(groups, TRIED_SCALE), better));
    put(groups, BEST_INVERSE, get(groups, BEST_INVERSE).blend(get(groups, TRIED_INVERSE), better));
    put(groups, BEST_LEAST, get(groups, BEST_LEAST).blend(min, better));
    put(groups, MIN, min.blend(get(groups, TRIED_MIN), better));
  }

  /// Sets the codes; a group of equal numbers, none above 0, is all minimum.
  private static void finishScaleAndMin(SearchGroups groups, Trials trials, float number) {
    float[] qs = groups.laneCodes;
    FloatVector max = get(groups, MAX);
    FloatVector min = get(groups, MIN);
    encode(groups, get(groups, BEST_LEAST), get(groups, BEST_INVERSE), trials.most());
    VectorMask<Float> flat = get(groups, FLAT).compare(NE, 0);
    for (int i = 0; i < groups.size; i++) {
      at(qs, i).blend(0, flat).intoArray(qs, i * LANES);
    }
    put(groups, SCALE, get(groups, SCALE).blend(0, flat));
    put(groups, MIN, min.blend(max, flat).neg());
  }

  /// The first number of largest magnitude in each lane.
  private static FloatVector extreme(SearchGroups groups) {
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

  private static VectorMask<Float> isZero(FloatVector extreme) {
    return extreme.lanewise(ABS).compare(LT, LEAST_MAGNITUDE);
  }

  @Override
  public void symmetric(SearchGroups groups, int most, Weighting weighting) {
    Trials trials = new Trials(most, -9, 1, 18, false, weighting);
    for (int first = 0; first < groups.count; first += LANES) {
      load(groups, first, weighting);
      STEPS[START_SYMMETRIC].run(groups, trials, 0);
      for (int trial = -9; trial <= 9; trial++) {
        if (trial != 0) {
          STEPS[TRY_SYMMETRIC].run(groups, trials, -(most + 0.1f * trial));
        }
      }
      STEPS[FINISH_SYMMETRIC].run(groups, trials, 0);
      storeCodes(groups, first, most);
      storeState(groups, SCALE, groups.scales, first);
    }
  }

  /// Sums for the codes of a reciprocal scale.
  private static void sums(SearchGroups groups, int most, FloatVector inverse) {
    float[] xs = groups.laneX;
    float[] ws = groups.laneWeights;
    FloatVector sumQx = FloatVector.zero(FLOATS);
    FloatVector sumQq = FloatVector.zero(FLOATS);
    for (int i = 0; i < groups.size; i++) {
      FloatVector x = at(xs, i);
      FloatVector w = at(ws, i);
      FloatVector q = nearest(x.mul(inverse), -most, most - 1);
      sumQx = sumQx.add(w.mul(x).mul(q));
      sumQq = sumQq.add(w.mul(q).mul(q));
    }
    put(groups, SUM_QX, sumQx);
    put(groups, SUM_QQ, sumQq);
  }

  private static void startSymmetric(SearchGroups groups, Trials trials, float number) {
    FloatVector extreme = extreme(groups);
    FloatVector inverse = FloatVector.broadcast(FLOATS, -trials.most()).div(extreme);
    sums(groups, trials.most(), inverse);
    FloatVector sumQx = get(groups, SUM_QX);
    FloatVector sumQq = get(groups, SUM_QQ);
    FloatVector scale = sumQx.div(sumQq).blend(0, sumQq.eq(0));
    put(groups, EXTREME, extreme);
    put(groups, SCALE, scale);
    put(groups, BEST, scale.mul(sumQx));
    put(groups, BEST_INVERSE, inverse);
  }

  private static void trySymmetric(SearchGroups groups, Trials trials, float numerator) {
    FloatVector inverse = FloatVector.broadcast(FLOATS, numerator).div(get(groups, EXTREME));
    sums(groups, trials.most(), inverse);
    FloatVector sumQx = get(groups, SUM_QX);
    FloatVector sumQq = get(groups, SUM_QQ);
    FloatVector best = get(groups, BEST);
    FloatVector scale = sumQx.div(sumQq);
    VectorMask<Float> better =
        sumQq.compare(GT, 0).and(sumQx.mul(sumQx).compare(GT, best.mul(sumQq)));
    put(groups, SCALE, get(groups, SCALE).blend(scale, better));
    put(groups, BEST, best.blend(scale.mul(sumQx), better));
    put(groups, BEST_INVERSE, get(groups, BEST_INVERSE).blend(inverse, better));
  }

  private static void finishSymmetric(SearchGroups groups, Trials trials, float number) {
    float[] xs = groups.laneX;
    float[] qs = groups.laneCodes;
    int most = trials.most();
    VectorMask<Float> zero = isZero(get(groups, EXTREME));
    FloatVector inverse = get(groups, BEST_INVERSE);
    for (int i = 0; i < groups.size; i++) {
      nearest(at(xs, i).mul(inverse), -most, most - 1).blend(-most, zero).intoArray(qs, i * LANES);
    }
    put(groups, SCALE, get(groups, SCALE).blend(0, zero));
  }

  @Override
  public void descent(SearchGroups groups, int most) {
    Trials trials = new Trials(most, 0, 0, PASSES, false, Weighting.SQUARE);
    for (int first = 0; first < groups.count; first += LANES) {
      load(groups, first, Weighting.SQUARE);
      STEPS[START_DESCENT].run(groups, trials, 0);
      groups.changed = true;
      for (int pass = 0; pass < PASSES && groups.changed; pass++) {
        // A lane that a pass left as it was is left so by all that follow.
        STEPS[DESCEND].run(groups, trials, 0);
      }
      storeCodes(groups, first, most);
      storeState(groups, SCALE, groups.scales, first);
    }
  }

  private static void startDescent(SearchGroups groups, Trials trials, float number) {
    float[] xs = groups.laneX;
    float[] qs = groups.laneCodes;
    int most = trials.most();
    FloatVector extreme = extreme(groups);
    VectorMask<Float> zero = isZero(extreme);
    FloatVector inverse = FloatVector.broadcast(FLOATS, -most).div(extreme);
    sums(groups, most, inverse);
    for (int i = 0; i < groups.size; i++) {
      nearest(at(xs, i).mul(inverse), -most, most - 1).blend(-most, zero).intoArray(qs, i * LANES);
    }
    // Sums of zero keep codes and scale of a group of zeros as they are.
    put(groups, SUM_QX, get(groups, SUM_QX).blend(0, zero));
    put(groups, SUM_QQ, get(groups, SUM_QQ).blend(0, zero));
  }

  private static void descend(SearchGroups groups, Trials trials, float number) {
    float[] xs = groups.laneX;
    float[] ws = groups.laneWeights;
    float[] qs = groups.laneCodes;
    int most = trials.most();
    FloatVector sumQx = get(groups, SUM_QX);
    FloatVector sumQq = get(groups, SUM_QQ);
    boolean changed = false;
    for (int i = 0; i < groups.size; i++) {
      FloatVector x = at(xs, i);
      FloatVector w = at(ws, i);
      FloatVector old = at(qs, i);
      FloatVector wx = w.mul(x);
      FloatVector restQx = sumQx.sub(wx.mul(old));
      FloatVector restQq = sumQq.sub(w.mul(old).mul(old));
      FloatVector q = nearest(x.mul(restQq).div(restQx), -most, most - 1);
      FloatVector newQx = restQx.add(wx.mul(q));
      FloatVector newQq = restQq.add(w.mul(q).mul(q));
      VectorMask<Float> better =
          restQx
              .compare(GT, 0)
              .and(q.compare(NE, old))
              .and(newQq.compare(GT, 0))
              .and(newQx.mul(newQx).mul(sumQq).compare(GT, sumQx.mul(sumQx).mul(newQq)));
      old.blend(q, better).intoArray(qs, i * LANES);
      sumQx = sumQx.blend(newQx, better);
      sumQq = sumQq.blend(newQq, better);
      changed |= better.anyTrue();
    }
    put(groups, SUM_QX, sumQx);
    put(groups, SUM_QQ, sumQq);
    put(groups, SCALE, sumQx.div(sumQq).blend(0, sumQq.compare(GT, 0).not()));
    groups.changed = changed;
  }

  @Override
  public void table(SearchGroups groups, Weighting weighting) {
    scalar.table(groups, weighting);
  }

  @Override
  public void requantize(SearchGroups groups, float[] scales, float[] mins, int low, int high) {
    scalar.requantize(groups, scales, mins, low, high);
  }

  @Override
  public void tableCodes(SearchGroups groups, float[] reciprocals) {
    scalar.tableCodes(groups, reciprocals);
  }

  @Override
  public void weigh(
      float[] x,
      int from,
      int count,
      float[] importance,
      int importanceFrom,
      float meanSquare,
      float[] weights,
      int at) {
    scalar.weigh(x, from, count, importance, importanceFrom, meanSquare, weights, at);
  }
}
