package dev.nibble.formats.internal.simd;

import static dev.nibble.formats.internal.simd.GgmlMath.LEAST_MAGNITUDE;
import static dev.nibble.formats.internal.simd.GgmlMath.clamp;
import static dev.nibble.formats.internal.simd.GgmlMath.nearest;

import dev.nibble.formats.internal.simd.SearchGroups.Weighting;
import java.util.Arrays;

/// {@link BlockSearch} one group at a time: the reference, and what runs where the Vector API
/// doesn't.
final class ScalarBlockSearch implements BlockSearch {
  private static final int PASSES = 5;

  @Override
  public void scaleAndMin(SearchGroups groups, Trials trials) {
    byte[] tried = new byte[groups.size];
    for (int group = 0; group < groups.count; group++) {
      weigh(groups, group, trials.weighting());
      scaleAndMin(groups, group, trials, tried);
    }
  }

  private static void scaleAndMin(SearchGroups groups, int group, Trials trials, byte[] tried) {
    int size = groups.size;
    int at = group * size;
    int most = trials.most();
    float[] x = Arrays.copyOfRange(groups.x, groups.from + at, groups.from + at + size);
    float[] weights = Arrays.copyOfRange(groups.weights, at, at + size);
    float min = x[0];
    float max = x[0];
    float sumWeights = weights[0];
    float sumX = sumWeights * x[0];
    for (int i = 1; i < size; i++) {
      min = x[i] < min ? x[i] : min;
      max = x[i] > max ? x[i] : max;
      sumWeights += weights[i];
      sumX += weights[i] * x[i];
    }
    groups.weightSums[group] = sumWeights;
    min = min > 0 ? 0 : min;
    if (max == min) {
      Arrays.fill(groups.codes, at, at + size, (byte) 0);
      groups.scales[group] = 0;
      groups.mins[group] = -min;
      return;
    }
    float inverse = most / (max - min);
    float scale = 1 / inverse;
    encode(x, min, inverse, most, tried);
    System.arraycopy(tried, 0, groups.codes, at, size);
    float error = error(x, weights, tried, scale, min, trials.absolute());
    for (int trial = 0; trial <= trials.steps(); trial++) {
      // The range shrinks or grows with the best minimum so far.
      inverse = (trials.first() + trials.step() * trial + most) / (max - min);
      encode(x, min, inverse, most, tried);
      float sumQ = 0;
      float sumQq = 0;
      float sumQx = 0;
      for (int i = 0; i < size; i++) {
        float weighted = weights[i] * tried[i];
        sumQ += weighted;
        sumQq += weighted * tried[i];
        sumQx += weighted * x[i];
      }
      float determinant = sumWeights * sumQq - sumQ * sumQ;
      if (determinant > 0) {
        float thisScale = (sumWeights * sumQx - sumX * sumQ) / determinant;
        float thisMin = (sumQq * sumX - sumQ * sumQx) / determinant;
        if (thisMin > 0) {
          thisMin = 0;
          thisScale = sumQx / sumQq;
        }
        float thisError = error(x, weights, tried, thisScale, thisMin, trials.absolute());
        if (thisError < error) {
          System.arraycopy(tried, 0, groups.codes, at, size);
          error = thisError;
          scale = thisScale;
          min = thisMin;
        }
      }
    }
    groups.scales[group] = scale;
    groups.mins[group] = -min;
  }

  private static void encode(float[] x, float min, float inverse, int most, byte[] codes) {
    for (int i = 0; i < x.length; i++) {
      codes[i] = (byte) clamp(nearest(inverse * (x[i] - min)), 0, most);
    }
  }

  private static float error(
      float[] x, float[] weights, byte[] codes, float scale, float min, boolean absolute) {
    float sum = 0;
    for (int i = 0; i < x.length; i++) {
      float difference = scale * codes[i] + min - x[i];
      sum += weights[i] * (absolute ? Math.abs(difference) : difference * difference);
    }
    return sum;
  }

  @Override
  public void symmetric(SearchGroups groups, int most, Weighting weighting) {
    for (int group = 0; group < groups.count; group++) {
      weigh(groups, group, weighting);
      symmetric(groups, group, most);
    }
  }

  private static void symmetric(SearchGroups groups, int group, int most) {
    int size = groups.size;
    int at = group * size;
    float[] x = groups.x;
    int from = groups.from + at;
    float extreme = GgmlMath.extreme(x, from, size);
    if (Math.abs(extreme) < LEAST_MAGNITUDE) {
      Arrays.fill(groups.codes, at, at + size, (byte) 0);
      groups.scales[group] = 0;
      return;
    }
    float bestInverse = -most / extreme;
    float scale = 0;
    float best = 0;
    // The plain scale goes first, then those 0.1 * trial of a code away from it.
    for (int turn = 0; turn < 19; turn++) {
      int trial = turn == 0 ? 0 : turn <= 9 ? turn - 10 : turn - 9;
      float inverse = turn == 0 ? bestInverse : -(most + 0.1f * trial) / extreme;
      float sumQx = 0;
      float sumQq = 0;
      for (int i = 0; i < size; i++) {
        int q = clamp(nearest(inverse * x[from + i]), -most, most - 1);
        float weight = groups.weights[at + i];
        sumQx += weight * x[from + i] * q;
        sumQq += weight * q * q;
      }
      if (turn == 0) {
        scale = sumQq != 0 ? sumQx / sumQq : 0;
        best = scale * sumQx;
      } else if (sumQq > 0 && sumQx * sumQx > best * sumQq) {
        scale = sumQx / sumQq;
        best = scale * sumQx;
        bestInverse = inverse;
      }
    }
    for (int i = 0; i < size; i++) {
      groups.codes[at + i] =
          (byte) (clamp(nearest(bestInverse * x[from + i]), -most, most - 1) + most);
    }
    groups.scales[group] = scale;
  }

  @Override
  public void descent(SearchGroups groups, int most) {
    for (int group = 0; group < groups.count; group++) {
      weigh(groups, group, Weighting.SQUARE);
      descent(groups, group, most);
    }
  }

  private static void descent(SearchGroups groups, int group, int most) {
    int size = groups.size;
    int at = group * size;
    float[] x = Arrays.copyOfRange(groups.x, groups.from + at, groups.from + at + size);
    float extreme = GgmlMath.extreme(x, 0, size);
    if (Math.abs(extreme) < LEAST_MAGNITUDE) {
      Arrays.fill(groups.codes, at, at + size, (byte) 0);
      groups.scales[group] = 0;
      return;
    }
    float inverse = -most / extreme;
    int[] codes = new int[size];
    float sumQx = 0;
    float sumQq = 0;
    for (int i = 0; i < size; i++) {
      codes[i] = clamp(nearest(inverse * x[i]), -most, most - 1);
      float weight = groups.weights[at + i];
      sumQx += weight * x[i] * codes[i];
      sumQq += weight * codes[i] * codes[i];
    }
    boolean changed = true;
    for (int pass = 0; pass < PASSES && changed; pass++) {
      changed = false;
      for (int i = 0; i < size; i++) {
        float weight = groups.weights[at + i];
        float restQx = sumQx - weight * x[i] * codes[i];
        if (restQx > 0) {
          float restQq = sumQq - weight * codes[i] * codes[i];
          int q = clamp(nearest(x[i] * restQq / restQx), -most, most - 1);
          if (q != codes[i]) {
            restQx += weight * x[i] * q;
            restQq += weight * q * q;
            if (restQq > 0 && restQx * restQx * sumQq > sumQx * sumQx * restQq) {
              codes[i] = q;
              sumQx = restQx;
              sumQq = restQq;
              changed = true;
            }
          }
        }
      }
    }
    for (int i = 0; i < size; i++) {
      groups.codes[at + i] = (byte) (codes[i] + most);
    }
    groups.scales[group] = sumQq > 0 ? sumQx / sumQq : 0;
  }

  @Override
  public void table(SearchGroups groups, Weighting weighting) {
    for (int group = 0; group < groups.count; group++) {
      weigh(groups, group, weighting);
      groups.scales[group] = table(groups, group * groups.size);
    }
  }

  private static float table(SearchGroups groups, int at) {
    int size = groups.size;
    float[] x = groups.x;
    int from = groups.from + at;
    float extreme = GgmlMath.extreme(x, from, size);
    if (Math.abs(extreme) < LEAST_MAGNITUDE) {
      return 0;
    }
    float least = Iq4Table.value(0);
    float scale = 0;
    float best = 0;
    for (int turn = 0; turn < 16; turn++) {
      float inverse = turn == 0 ? 1 / (-extreme / least) : (turn - 8 + least) / extreme;
      float sumQx = 0;
      float sumQq = 0;
      for (int i = 0; i < size; i++) {
        float q = Iq4Table.value(Iq4Table.nearest(inverse * x[from + i]));
        float weighted = groups.weights[at + i] * q;
        sumQx += weighted * x[from + i];
        sumQq += weighted * q;
      }
      if (turn == 0) {
        scale = sumQq > 0 ? sumQx / sumQq : 0;
        best = scale * sumQx;
      } else if (sumQq > 0 && sumQx * sumQx > best * sumQq) {
        scale = sumQx / sumQq;
        best = scale * sumQx;
      }
    }
    return scale;
  }

  @Override
  public void requantize(SearchGroups groups, float[] scales, float[] mins, int low, int high) {
    int size = groups.size;
    for (int group = 0; group < groups.count; group++) {
      float scale = scales[group];
      if (scale == 0) {
        continue;
      }
      float min = mins[group];
      int at = group * size;
      for (int i = at; i < at + size; i++) {
        groups.codes[i] =
            (byte) (clamp(nearest((groups.x[groups.from + i] + min) / scale), low, high) - low);
      }
    }
  }

  @Override
  public void tableCodes(SearchGroups groups, float[] reciprocals) {
    int size = groups.size;
    for (int group = 0; group < groups.count; group++) {
      for (int i = group * size; i < (group + 1) * size; i++) {
        groups.codes[i] = (byte) Iq4Table.nearest(reciprocals[group] * groups.x[groups.from + i]);
      }
    }
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
    for (int i = 0; i < count; i++) {
      float value = x[from + i];
      weights[at + i] =
          importance[importanceFrom + i] * (float) Math.sqrt(meanSquare + value * value);
    }
  }

  private static void weigh(SearchGroups groups, int group, Weighting weighting) {
    int at = group * groups.size;
    int from = groups.from + at;
    float base =
        weighting == Weighting.RMS_AND_MAGNITUDE
            ? (float) Math.sqrt(GgmlMath.sumSquares(groups.x, from, groups.size) / groups.size)
            : 0;
    for (int i = 0; i < groups.size; i++) {
      float value = groups.x[from + i];
      switch (weighting) {
        case GIVEN -> {}
        case SQUARE -> groups.weights[at + i] = value * value;
        case MAGNITUDE, RMS_AND_MAGNITUDE -> groups.weights[at + i] = base + Math.abs(value);
      }
    }
  }
}
