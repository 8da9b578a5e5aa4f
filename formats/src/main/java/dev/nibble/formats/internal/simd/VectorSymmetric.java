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
    VectorSymmetric::startSymmetric,
    VectorSymmetric::trySymmetric,
    VectorSymmetric::finishSymmetric,
    VectorSymmetric::startDescent,
    VectorSymmetric::descend
  };

  private static final int START = 0;
  private static final int TRY = 1;
  private static final int FINISH = 2;
  private static final int START_DESCENT = 3;
  private static final int DESCEND = 4;

  private VectorSymmetric() {}

  /// A step, called through an array as those of {@link VectorScaleMin}.
  @FunctionalInterface
  private interface Step {
    void run(SearchGroups groups, int most, float numerator);
  }

  static void symmetric(SearchGroups groups, int most, Weighting weighting) {
    for (int first = 0; first < groups.count; first += LANES) {
      load(groups, first, weighting);
      STEPS[START].run(groups, most, 0);
      for (int trial = -9; trial <= 9; trial++) {
        if (trial != 0) {
          STEPS[TRY].run(groups, most, -(most + 0.1f * trial));
        }
      }
      STEPS[FINISH].run(groups, most, 0);
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

  private static void startSymmetric(SearchGroups groups, int most, float number) {
    FloatVector extreme = extreme(groups);
    FloatVector inverse = FloatVector.broadcast(FLOATS, -most).div(extreme);
    sums(groups, most, inverse);
    FloatVector sumQx = get(groups, SUM_QX);
    FloatVector sumQq = get(groups, SUM_QQ);
    FloatVector scale = sumQx.div(sumQq).blend(0, sumQq.eq(0));
    put(groups, EXTREME, extreme);
    put(groups, SCALE, scale);
    put(groups, BEST, scale.mul(sumQx));
    put(groups, BEST_INVERSE, inverse);
  }

  private static void trySymmetric(SearchGroups groups, int most, float numerator) {
    FloatVector inverse = FloatVector.broadcast(FLOATS, numerator).div(get(groups, EXTREME));
    sums(groups, most, inverse);
    VectorMask<Float> better = acceptSums(groups, get(groups, SUM_QX), get(groups, SUM_QQ));
    put(groups, BEST_INVERSE, get(groups, BEST_INVERSE).blend(inverse, better));
  }

  private static void finishSymmetric(SearchGroups groups, int most, float number) {
    float[] xs = groups.laneX;
    float[] qs = groups.laneCodes;
    VectorMask<Float> zero = isZero(get(groups, EXTREME));
    FloatVector inverse = get(groups, BEST_INVERSE);
    for (int i = 0; i < groups.size; i++) {
      nearest(at(xs, i).mul(inverse), -most, most - 1).blend(-most, zero).intoArray(qs, i * LANES);
    }
    put(groups, SCALE, get(groups, SCALE).blend(0, zero));
  }

  static void descent(SearchGroups groups, int most) {
    for (int first = 0; first < groups.count; first += LANES) {
      load(groups, first, Weighting.SQUARE);
      STEPS[START_DESCENT].run(groups, most, 0);
      groups.changed = true;
      for (int pass = 0; pass < PASSES && groups.changed; pass++) {
        // A lane that a pass left as it was is left so by all that follow.
        STEPS[DESCEND].run(groups, most, 0);
      }
      storeCodes(groups, first, most);
      storeState(groups, SCALE, groups.scales, first);
    }
  }

  private static void startDescent(SearchGroups groups, int most, float number) {
    float[] xs = groups.laneX;
    float[] qs = groups.laneCodes;
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

  private static void descend(SearchGroups groups, int most, float number) {
    float[] xs = groups.laneX;
    float[] ws = groups.laneWeights;
    float[] qs = groups.laneCodes;
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
}
