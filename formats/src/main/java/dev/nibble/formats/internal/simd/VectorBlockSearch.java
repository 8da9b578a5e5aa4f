package dev.nibble.formats.internal.simd;

import static dev.nibble.formats.internal.simd.VectorFloats.FLOATS;
import static dev.nibble.formats.internal.simd.VectorLanes.BYTES;
import static dev.nibble.formats.internal.simd.VectorLanes.LANES;
import static dev.nibble.formats.internal.simd.VectorLanes.WHOLE_BITS;
import static dev.nibble.formats.internal.simd.VectorLanes.at;
import static dev.nibble.formats.internal.simd.VectorLanes.bits;
import static jdk.incubator.vector.VectorOperators.I2B;
import static jdk.incubator.vector.VectorOperators.SQRT;

import dev.nibble.formats.internal.simd.SearchGroups.Weighting;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/// {@link BlockSearch} with a group in each lane. The sums of a group depend on their order, which
/// only allows one addition at a time, but neighbouring groups know nothing of each other: numbers
/// are transposed so that one vector holds the elements of one index, and every lane does what
/// {@link ScalarBlockSearch} does for its group, down to the rounding.
final class VectorBlockSearch implements BlockSearch {
  private final ScalarBlockSearch scalar = new ScalarBlockSearch();

  @Override
  public void scaleAndMin(SearchGroups groups, Trials trials) {
    VectorScaleMin.search(groups, trials);
  }

  @Override
  public void symmetric(SearchGroups groups, int most, Weighting weighting) {
    VectorSymmetric.symmetric(groups, most, weighting);
  }

  @Override
  public void descent(SearchGroups groups, int most) {
    VectorSymmetric.descent(groups, most);
  }

  @Override
  public void table(SearchGroups groups, Weighting weighting) {
    if (VectorIq4.isSupported()) {
      VectorIq4.search(groups, weighting);
    } else {
      scalar.table(groups, weighting);
    }
  }

  @Override
  public void requantize(SearchGroups groups, float[] scales, float[] mins, int low, int high) {
    int size = groups.size;
    for (int group = 0; group < groups.count; group++) {
      float scale = scales[group];
      if (scale != 0) {
        float min = mins[group];
        for (int i = group * size; i < (group + 1) * size; i += LANES) {
          FloatVector x = FloatVector.fromArray(FLOATS, groups.x, groups.from + i);
          IntVector q = bits(x.add(min).div(scale), low, high).sub(WHOLE_BITS + low);
          ((ByteVector) q.convertShape(I2B, BYTES, 0)).intoArray(groups.codes, i);
        }
      }
    }
  }

  @Override
  public void tableCodes(SearchGroups groups, float[] reciprocals) {
    if (VectorIq4.isSupported()) {
      VectorIq4.codes(groups, reciprocals);
    } else {
      scalar.tableCodes(groups, reciprocals);
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
    for (int i = 0; i < count; i += LANES) {
      FloatVector value = FloatVector.fromArray(FLOATS, x, from + i);
      FloatVector root = value.mul(value).add(meanSquare).lanewise(SQRT);
      FloatVector.fromArray(FLOATS, importance, importanceFrom + i)
          .mul(root)
          .intoArray(weights, at + i);
    }
  }
}
