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

  /// Stores one number for each group.
  private static void store(FloatVector values, float[] target, int first, int count) {
    values.intoArray(target, first, FLOATS.indexInRange(first, count));
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

  @Override
  public void scaleAndMin(SearchGroups groups, Trials trials) {
    for (int first = 0; first < groups.count; first += LANES) {
      load(groups, first, trials.weighting());
      scaleAndMin(groups, first, trials);
    }
  }

  private static void scaleAndMin(SearchGroups groups, int first, Trials trials) {
    float[] xs = groups.laneX;
    float[] ws = groups.laneWeights;
    float[] qs = groups.laneCodes;
    int size = groups.size;
    int top = trials.most();
    FloatVector min = at(xs, 0);
    FloatVector max = min;
    FloatVector sumWeights = at(ws, 0);
    FloatVector sumX = sumWeights.mul(min);
    for (int i = 1; i < size; i++) {
      FloatVector x = at(xs, i);
      FloatVector w = at(ws, i);
      min = min.blend(x, x.compare(LT, min));
      max = max.blend(x, x.compare(GT, max));
      sumWeights = sumWeights.add(w);
      sumX = sumX.add(w.mul(x));
    }
    store(sumWeights, groups.weightSums, first, groups.count);
    min = min.blend(0, min.compare(GT, 0));
    VectorMask<Float> flat = max.eq(min);
    FloatVector leastOfFlat = min;
    FloatVector inverse = FloatVector.broadcast(FLOATS, top).div(max.sub(min));
    FloatVector scale = FloatVector.broadcast(FLOATS, 1).div(inverse);
    encode(xs, min, inverse, size, top, qs);
    FloatVector error = error(xs, ws, qs, size, scale, min, trials.absolute());
    // What the best codes were made of.
    FloatVector bestInverse = inverse;
    FloatVector bestLeast = min;
    for (int trial = 0; trial <= trials.steps(); trial++) {
      float numerator = trials.first() + trials.step() * trial + top;
      inverse = FloatVector.broadcast(FLOATS, numerator).div(max.sub(min));
      FloatVector sumQ = FloatVector.zero(FLOATS);
      FloatVector sumQq = sumQ;
      FloatVector sumQx = sumQ;
      for (int i = 0; i < size; i++) {
        FloatVector x = at(xs, i);
        FloatVector q = nearest(x.sub(min).mul(inverse), 0, top);
        q.intoArray(qs, i * LANES);
        FloatVector weighted = at(ws, i).mul(q);
        sumQ = sumQ.add(weighted);
        sumQq = sumQq.add(weighted.mul(q));
        sumQx = sumQx.add(weighted.mul(x));
      }
      FloatVector determinant = sumWeights.mul(sumQq).sub(sumQ.mul(sumQ));
      FloatVector thisScale = sumWeights.mul(sumQx).sub(sumX.mul(sumQ)).div(determinant);
      FloatVector thisMin = sumQq.mul(sumX).sub(sumQ.mul(sumQx)).div(determinant);
      VectorMask<Float> above = thisMin.compare(GT, 0);
      thisMin = thisMin.blend(0, above);
      thisScale = thisScale.blend(sumQx.div(sumQq), above);
      FloatVector thisError = error(xs, ws, qs, size, thisScale, thisMin, trials.absolute());
      VectorMask<Float> better = thisError.lt(error).and(determinant.compare(GT, 0));
      error = error.blend(thisError, better);
      scale = scale.blend(thisScale, better);
      bestInverse = bestInverse.blend(inverse, better);
      bestLeast = bestLeast.blend(min, better);
      min = min.blend(thisMin, better);
    }
    encode(xs, bestLeast, bestInverse, size, top, qs);
    if (flat.anyTrue()) {
      for (int i = 0; i < size; i++) {
        at(qs, i).blend(0, flat).intoArray(qs, i * LANES);
      }
    }
    storeCodes(groups, first, 0);
    store(scale.blend(0, flat), groups.scales, first, groups.count);
    store(min.blend(leastOfFlat, flat).neg(), groups.mins, first, groups.count);
  }

  private static void encode(
      float[] xs, FloatVector min, FloatVector inverse, int size, int top, float[] qs) {
    for (int i = 0; i < size; i++) {
      nearest(at(xs, i).sub(min).mul(inverse), 0, top).intoArray(qs, i * LANES);
    }
  }

  private static FloatVector error(
      float[] xs,
      float[] ws,
      float[] qs,
      int size,
      FloatVector scale,
      FloatVector min,
      boolean absolute) {
    FloatVector sum = FloatVector.zero(FLOATS);
    if (absolute) {
      for (int i = 0; i < size; i++) {
        FloatVector difference = at(qs, i).mul(scale).add(min).sub(at(xs, i));
        sum = sum.add(at(ws, i).mul(difference.lanewise(ABS)));
      }
    } else {
      for (int i = 0; i < size; i++) {
        FloatVector difference = at(qs, i).mul(scale).add(min).sub(at(xs, i));
        sum = sum.add(at(ws, i).mul(difference.mul(difference)));
      }
    }
    return sum;
  }

  /// The first number of largest magnitude in each lane.
  private static FloatVector extreme(float[] xs, int size) {
    FloatVector extreme = FloatVector.zero(FLOATS);
    FloatVector most = extreme;
    for (int i = 0; i < size; i++) {
      FloatVector x = at(xs, i);
      FloatVector magnitude = x.lanewise(ABS);
      VectorMask<Float> more = magnitude.compare(GT, most);
      most = most.blend(magnitude, more);
      extreme = extreme.blend(x, more);
    }
    return extreme;
  }

  @Override
  public void symmetric(SearchGroups groups, int most, Weighting weighting) {
    for (int first = 0; first < groups.count; first += LANES) {
      load(groups, first, weighting);
      symmetric(groups, first, most);
    }
  }

  private static void symmetric(SearchGroups groups, int first, int most) {
    float[] xs = groups.laneX;
    float[] ws = groups.laneWeights;
    float[] qs = groups.laneCodes;
    int size = groups.size;
    FloatVector extreme = extreme(xs, size);
    VectorMask<Float> zero = extreme.lanewise(ABS).compare(LT, LEAST_MAGNITUDE);
    FloatVector bestInverse = FloatVector.broadcast(FLOATS, -most).div(extreme);
    FloatVector scale = FloatVector.zero(FLOATS);
    FloatVector best = scale;
    for (int turn = 0; turn < 19; turn++) {
      int trial = turn == 0 ? 0 : turn <= 9 ? turn - 10 : turn - 9;
      FloatVector inverse = FloatVector.broadcast(FLOATS, -(most + 0.1f * trial)).div(extreme);
      FloatVector sumQx = FloatVector.zero(FLOATS);
      FloatVector sumQq = sumQx;
      for (int i = 0; i < size; i++) {
        FloatVector x = at(xs, i);
        FloatVector w = at(ws, i);
        FloatVector q = nearest(x.mul(inverse), -most, most - 1);
        sumQx = sumQx.add(w.mul(x).mul(q));
        sumQq = sumQq.add(w.mul(q).mul(q));
      }
      FloatVector thisScale = sumQx.div(sumQq);
      VectorMask<Float> better =
          turn == 0
              ? sumQq.compare(NE, 0)
              : sumQq.compare(GT, 0).and(sumQx.mul(sumQx).compare(GT, best.mul(sumQq)));
      scale = scale.blend(thisScale, better);
      best = turn == 0 ? scale.mul(sumQx) : best.blend(thisScale.mul(sumQx), better);
      bestInverse = bestInverse.blend(inverse, better);
    }
    for (int i = 0; i < size; i++) {
      nearest(at(xs, i).mul(bestInverse), -most, most - 1)
          .blend(-most, zero)
          .intoArray(qs, i * LANES);
    }
    storeCodes(groups, first, most);
    store(scale.blend(0, zero), groups.scales, first, groups.count);
  }

  @Override
  public void descent(SearchGroups groups, int most) {
    for (int first = 0; first < groups.count; first += LANES) {
      load(groups, first, Weighting.SQUARE);
      descent(groups, first, most);
    }
  }

  private static void descent(SearchGroups groups, int first, int most) {
    float[] xs = groups.laneX;
    float[] ws = groups.laneWeights;
    float[] qs = groups.laneCodes;
    int size = groups.size;
    FloatVector extreme = extreme(xs, size);
    VectorMask<Float> zero = extreme.lanewise(ABS).compare(LT, LEAST_MAGNITUDE);
    FloatVector inverse = FloatVector.broadcast(FLOATS, -most).div(extreme);
    FloatVector sumQx = FloatVector.zero(FLOATS);
    FloatVector sumQq = sumQx;
    for (int i = 0; i < size; i++) {
      FloatVector x = at(xs, i);
      FloatVector w = at(ws, i);
      FloatVector q = nearest(x.mul(inverse), -most, most - 1);
      q.intoArray(qs, i * LANES);
      sumQx = sumQx.add(w.mul(x).mul(q));
      sumQq = sumQq.add(w.mul(q).mul(q));
    }
    boolean changed = true;
    for (int pass = 0; pass < PASSES && changed; pass++) {
      // A lane that a pass left as it was is left so by all that follow.
      changed = false;
      for (int i = 0; i < size; i++) {
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
    }
    for (int i = 0; i < size; i++) {
      at(qs, i).blend(-most, zero).intoArray(qs, i * LANES);
    }
    storeCodes(groups, first, most);
    VectorMask<Float> none = zero.or(sumQq.compare(GT, 0).not());
    store(sumQx.div(sumQq).blend(0, none), groups.scales, first, groups.count);
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
