package dev.nibble.formats.internal.simd;

import static dev.nibble.formats.internal.simd.VectorFloats.FLOATS;
import static dev.nibble.formats.internal.simd.VectorLanes.BEST;
import static dev.nibble.formats.internal.simd.VectorLanes.BEST_INVERSE;
import static dev.nibble.formats.internal.simd.VectorLanes.EXTREME;
import static dev.nibble.formats.internal.simd.VectorLanes.LANES;
import static dev.nibble.formats.internal.simd.VectorLanes.SCALE;
import static dev.nibble.formats.internal.simd.VectorLanes.SUM_QQ;
import static dev.nibble.formats.internal.simd.VectorLanes.SUM_QX;
import static dev.nibble.formats.internal.simd.VectorLanes.acceptSums;
import static dev.nibble.formats.internal.simd.VectorLanes.at;
import static dev.nibble.formats.internal.simd.VectorLanes.extreme;
import static dev.nibble.formats.internal.simd.VectorLanes.get;
import static dev.nibble.formats.internal.simd.VectorLanes.isZero;
import static dev.nibble.formats.internal.simd.VectorLanes.load;
import static dev.nibble.formats.internal.simd.VectorLanes.nearest;
import static dev.nibble.formats.internal.simd.VectorLanes.put;
import static dev.nibble.formats.internal.simd.VectorLanes.storeCodes;
import static dev.nibble.formats.internal.simd.VectorLanes.storeState;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.NE;

import dev.nibble.formats.internal.simd.SearchGroups.Weighting;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/// {@link BlockSearch#symmetric} and {@link BlockSearch#descent} in lanes.
final class VectorSymmetric {
  private static final int PASSES = 5;

  private static final Step[] STEPS = {
    VectorSymmetric::start,
    VectorSymmetric::sums,
    VectorSymmetric::acceptFirst,
    VectorSymmetric::accept,
    VectorSymmetric::finish,
    VectorSymmetric::encode,
    VectorSymmetric::descend
  };

  private static final int START = 0;
  private static final int SUMS = 1;
  private static final int ACCEPT_FIRST = 2;
  private static final int ACCEPT = 3;
  private static final int FINISH = 4;
  private static final int ENCODE = 5;
  private static final int DESCEND = 6;

  private static final int TRIED_INVERSE = 6;

  private VectorSymmetric() {}

  /// A step, called through an array as those of {@link VectorScaleMin}.
  @FunctionalInterface
  private interface Step {
    void run(SearchGroups groups, int most, float numerator);
  }

  /// The one place that calls steps: it sees several, none of them nine times out of ten, and so
  /// the compiler inlines none.
  private static void run(int step, SearchGroups groups, int most, float numerator) {
    STEPS[step].run(groups, most, numerator);
  }

  static void symmetric(SearchGroups groups, int most, Weighting weighting) {
    for (int first = 0; first < groups.count; first += LANES) {
      load(groups, first, weighting);
      run(START, groups, most, 0);
      run(SUMS, groups, most, -most);
      run(ACCEPT_FIRST, groups, most, 0);
      for (int trial = -9; trial <= 9; trial++) {
        if (trial != 0) {
          run(SUMS, groups, most, -(most + 0.1f * trial));
          run(ACCEPT, groups, most, 0);
        }
      }
      run(FINISH, groups, most, 0);
      storeCodes(groups, first, most);
      storeState(groups, SCALE, groups.scales, first);
    }
  }

  private static void start(SearchGroups groups, int most, float number) {
    put(groups, EXTREME, extreme(groups));
  }

  /// Sums for the codes of the reciprocal scale `numerator / extreme`.
  private static void sums(SearchGroups groups, int most, float numerator) {
    float[] xs = groups.laneX;
    float[] ws = groups.laneWeights;
    FloatVector inverse = FloatVector.broadcast(FLOATS, numerator).div(get(groups, EXTREME));
    put(groups, TRIED_INVERSE, inverse);
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

  private static void acceptFirst(SearchGroups groups, int most, float number) {
    FloatVector sumQx = get(groups, SUM_QX);
    FloatVector sumQq = get(groups, SUM_QQ);
    FloatVector scale = sumQx.div(sumQq).blend(0, sumQq.eq(0));
    put(groups, SCALE, scale);
    put(groups, BEST, scale.mul(sumQx));
    put(groups, BEST_INVERSE, get(groups, TRIED_INVERSE));
  }

  private static void accept(SearchGroups groups, int most, float number) {
    VectorMask<Float> better = acceptSums(groups, get(groups, SUM_QX), get(groups, SUM_QQ));
    FloatVector inverse = get(groups, BEST_INVERSE).blend(get(groups, TRIED_INVERSE), better);
    put(groups, BEST_INVERSE, inverse);
  }

  private static void finish(SearchGroups groups, int most, float number) {
    put(groups, TRIED_INVERSE, get(groups, BEST_INVERSE));
    encode(groups, most, number);
    put(groups, SCALE, get(groups, SCALE).blend(0, isZero(get(groups, EXTREME))));
  }

  /// Sets the codes for TRIED_INVERSE; all of a group of zeros become the least.
  private static void encode(SearchGroups groups, int most, float number) {
    float[] xs = groups.laneX;
    float[] qs = groups.laneCodes;
    VectorMask<Float> zero = isZero(get(groups, EXTREME));
    FloatVector inverse = get(groups, TRIED_INVERSE);
    for (int i = 0; i < groups.size; i++) {
      nearest(at(xs, i).mul(inverse), -most, most - 1).blend(-most, zero).intoArray(qs, i * LANES);
    }
  }

  static void descent(SearchGroups groups, int most) {
    for (int first = 0; first < groups.count; first += LANES) {
      load(groups, first, Weighting.SQUARE);
      run(START, groups, most, 0);
      run(SUMS, groups, most, -most);
      run(ENCODE, groups, most, 0);
      groups.changed = true;
      for (int pass = 0; pass < PASSES && groups.changed; pass++) {
        // A lane that a pass left as it was is left so by all that follow.
        run(DESCEND, groups, most, 0);
      }
      storeCodes(groups, first, most);
      storeState(groups, SCALE, groups.scales, first);
    }
  }

  private static void descend(SearchGroups groups, int most, float number) {
    float[] xs = groups.laneX;
    float[] ws = groups.laneWeights;
    float[] qs = groups.laneCodes;
    // Sums of zero keep codes and scale of a group of zeros as they are.
    VectorMask<Float> zero = isZero(get(groups, EXTREME));
    FloatVector sumQx = get(groups, SUM_QX).blend(0, zero);
    FloatVector sumQq = get(groups, SUM_QQ).blend(0, zero);
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
}
