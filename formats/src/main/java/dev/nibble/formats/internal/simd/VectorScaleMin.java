package dev.nibble.formats.internal.simd;

import static dev.nibble.formats.internal.simd.VectorFloats.FLOATS;
import static dev.nibble.formats.internal.simd.VectorLanes.BEST_INVERSE;
import static dev.nibble.formats.internal.simd.VectorLanes.LANES;
import static dev.nibble.formats.internal.simd.VectorLanes.SCALE;
import static dev.nibble.formats.internal.simd.VectorLanes.at;
import static dev.nibble.formats.internal.simd.VectorLanes.get;
import static dev.nibble.formats.internal.simd.VectorLanes.load;
import static dev.nibble.formats.internal.simd.VectorLanes.nearest;
import static dev.nibble.formats.internal.simd.VectorLanes.put;
import static dev.nibble.formats.internal.simd.VectorLanes.storeCodes;
import static dev.nibble.formats.internal.simd.VectorLanes.storeState;
import static jdk.incubator.vector.VectorOperators.ABS;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.LT;
import static jdk.incubator.vector.VectorOperators.NE;

import dev.nibble.formats.internal.simd.BlockSearch.Trials;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/// {@link BlockSearch#scaleAndMin} in lanes.
final class VectorScaleMin {
  private static final int MIN = 0;
  private static final int MAX = 1;
  private static final int SUM_WEIGHTS = 2;
  private static final int SUM_X = 3;
  private static final int ERROR = 6;
  private static final int TRIED_SCALE = 7;
  private static final int TRIED_MIN = 8;
  private static final int TRIED_INVERSE = 9;

  /// The minimum that the best codes were made with, beside BEST_INVERSE.
  private static final int BEST_LEAST = 10;

  /// 1 for a group of equal numbers.
  private static final int FLAT = 11;

  private static final int TRIED_ERROR = 12;

  private static final Step[] STEPS = {
    VectorScaleMin::start,
    VectorScaleMin::encode,
    VectorScaleMin::error,
    VectorScaleMin::errorAbsolute,
    VectorScaleMin::sums,
    VectorScaleMin::accept,
    VectorScaleMin::finish
  };

  private static final int START = 0;
  private static final int ENCODE = 1;
  private static final int ERROR_OF_TRIED = 2;
  private static final int SUMS = 4;
  private static final int ACCEPT = 5;
  private static final int FINISH = 6;

  private VectorScaleMin() {}

  /// One step of a search for the groups in the lanes. Steps are called through an array, and so
  /// never inlined into one method: such a large one would pass the compiler's limit of nodes,
  /// where it leaves vectors as objects in memory (measured: 4 times slower).
  @FunctionalInterface
  private interface Step {
    void run(SearchGroups groups, Trials trials, float number);
  }

  /// The one place that calls steps: it sees several, none of them nine times out of ten, and so
  /// the compiler inlines none.
  private static void run(int step, SearchGroups groups, Trials trials, float number) {
    STEPS[step].run(groups, trials, number);
  }

  static void search(SearchGroups groups, Trials trials) {
    int error = ERROR_OF_TRIED + (trials.absolute() ? 1 : 0);
    for (int first = 0; first < groups.count; first += LANES) {
      load(groups, first, trials.weighting());
      run(START, groups, trials, 0);
      run(ENCODE, groups, trials, 0);
      run(error, groups, trials, 0);
      System.arraycopy(
          groups.laneState, TRIED_ERROR * LANES, groups.laneState, ERROR * LANES, LANES);
      for (int trial = 0; trial <= trials.steps(); trial++) {
        float numerator = trials.first() + trials.step() * trial + trials.most();
        run(SUMS, groups, trials, numerator);
        run(error, groups, trials, 0);
        run(ACCEPT, groups, trials, 0);
      }
      run(ENCODE, groups, trials, 0);
      run(FINISH, groups, trials, 0);
      storeCodes(groups, first, 0);
      storeState(groups, SCALE, groups.scales, first);
      storeState(groups, MIN, groups.mins, first);
      storeState(groups, SUM_WEIGHTS, groups.weightSums, first);
    }
  }

  private static void start(SearchGroups groups, Trials trials, float number) {
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
    put(groups, TRIED_SCALE, scale);
    put(groups, TRIED_MIN, min);
    put(groups, BEST_LEAST, min);
    put(groups, BEST_INVERSE, inverse);
  }

  /// Sets the best codes. Vectors never pass from method to method: if the compiler doesn't inline
  /// the one that takes them, they become objects.
  private static void encode(SearchGroups groups, Trials trials, float number) {
    float[] xs = groups.laneX;
    float[] qs = groups.laneCodes;
    int most = trials.most();
    FloatVector min = get(groups, BEST_LEAST);
    FloatVector inverse = get(groups, BEST_INVERSE);
    for (int i = 0; i < groups.size; i++) {
      nearest(at(xs, i).sub(min).mul(inverse), 0, most).intoArray(qs, i * LANES);
    }
  }

  private static void error(SearchGroups groups, Trials trials, float number) {
    float[] xs = groups.laneX;
    float[] ws = groups.laneWeights;
    float[] qs = groups.laneCodes;
    FloatVector scale = get(groups, TRIED_SCALE);
    FloatVector min = get(groups, TRIED_MIN);
    FloatVector sum = FloatVector.zero(FLOATS);
    for (int i = 0; i < groups.size; i++) {
      FloatVector difference = at(qs, i).mul(scale).add(min).sub(at(xs, i));
      sum = sum.add(at(ws, i).mul(difference.mul(difference)));
    }
    put(groups, TRIED_ERROR, sum);
  }

  private static void errorAbsolute(SearchGroups groups, Trials trials, float number) {
    float[] xs = groups.laneX;
    float[] ws = groups.laneWeights;
    float[] qs = groups.laneCodes;
    FloatVector scale = get(groups, TRIED_SCALE);
    FloatVector min = get(groups, TRIED_MIN);
    FloatVector sum = FloatVector.zero(FLOATS);
    for (int i = 0; i < groups.size; i++) {
      FloatVector difference = at(qs, i).mul(scale).add(min).sub(at(xs, i));
      sum = sum.add(at(ws, i).mul(difference.lanewise(ABS)));
    }
    put(groups, TRIED_ERROR, sum);
  }

  private static void sums(SearchGroups groups, Trials trials, float numerator) {
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

  private static void accept(SearchGroups groups, Trials trials, float number) {
    FloatVector triedError = get(groups, TRIED_ERROR);
    FloatVector error = get(groups, ERROR);
    FloatVector min = get(groups, MIN);
    VectorMask<Float> better = triedError.compare(LT, error);
    put(groups, ERROR, error.blend(triedError, better));
    put(groups, SCALE, get(groups, SCALE).blend(get(groups, TRIED_SCALE), better));
    put(groups, BEST_INVERSE, get(groups, BEST_INVERSE).blend(get(groups, TRIED_INVERSE), better));
    put(groups, BEST_LEAST, get(groups, BEST_LEAST).blend(min, better));
    put(groups, MIN, min.blend(get(groups, TRIED_MIN), better));
  }

  /// A group of equal numbers, none above 0, is all minimum.
  private static void finish(SearchGroups groups, Trials trials, float number) {
    float[] qs = groups.laneCodes;
    FloatVector max = get(groups, MAX);
    FloatVector min = get(groups, MIN);
    VectorMask<Float> flat = get(groups, FLAT).compare(NE, 0);
    for (int i = 0; i < groups.size; i++) {
      at(qs, i).blend(0, flat).intoArray(qs, i * LANES);
    }
    put(groups, SCALE, get(groups, SCALE).blend(0, flat));
    put(groups, MIN, min.blend(max, flat).neg());
  }
}
