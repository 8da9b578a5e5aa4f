package dev.nibble.formats.internal.simd;

import static dev.nibble.formats.internal.simd.ErrorLanes.LANES;
import static jdk.incubator.vector.VectorOperators.AND;
import static jdk.incubator.vector.VectorOperators.F2D;
import static jdk.incubator.vector.VectorOperators.MAX;

import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/// {@link ErrorKernel#addScalar} with the Vector API, bit for bit.
final class VectorErrors {
  /// Two vectors of doubles hold at most all the sums.
  private static final VectorShape SHAPE =
      VectorShape.forBitSize(Math.min(512, DoubleVector.SPECIES_PREFERRED.vectorBitSize()));

  private static final VectorSpecies<Double> DOUBLES = VectorSpecies.of(double.class, SHAPE);
  private static final VectorSpecies<Float> FLOATS =
      VectorSpecies.of(float.class, VectorShape.forBitSize(SHAPE.vectorBitSize() / 2));
  private static final int LENGTH = DOUBLES.length();

  private VectorErrors() {}

  static void add(float[] x, float[] decoded, int count, ErrorLanes sums) {
    for (int lane = 0; lane < LANES; lane += 2 * LENGTH) {
      addLanes(x, decoded, count, sums, lane);
    }
  }

  /// Adds to two vectors of sums: one would wait for its own last addition.
  private static void addLanes(float[] x, float[] decoded, int count, ErrorLanes sums, int lane) {
    DoubleVector squares0 = DoubleVector.fromArray(DOUBLES, sums.squares, lane);
    DoubleVector squares1 = DoubleVector.fromArray(DOUBLES, sums.squares, lane + LENGTH);
    DoubleVector errors0 = DoubleVector.fromArray(DOUBLES, sums.errors, lane);
    DoubleVector errors1 = DoubleVector.fromArray(DOUBLES, sums.errors, lane + LENGTH);
    LongVector max0 = DoubleVector.zero(DOUBLES).reinterpretAsLongs();
    LongVector max1 = max0;
    for (int i = lane; i < count; i += LANES) {
      DoubleVector value0 = widened(x, i);
      DoubleVector value1 = widened(x, i + LENGTH);
      DoubleVector error0 = value0.sub(widened(decoded, i));
      DoubleVector error1 = value1.sub(widened(decoded, i + LENGTH));
      // The square of a float32 is exact in double: fused or not makes no difference.
      squares0 = value0.fma(value0, squares0);
      squares1 = value1.fma(value1, squares1);
      errors0 = errors0.add(error0.mul(error0));
      errors1 = errors1.add(error1.mul(error1));
      // Magnitudes order like their bits, and a maximum of integers is one instruction.
      max0 = max0.max(error0.reinterpretAsLongs().lanewise(AND, Long.MAX_VALUE));
      max1 = max1.max(error1.reinterpretAsLongs().lanewise(AND, Long.MAX_VALUE));
    }
    squares0.intoArray(sums.squares, lane);
    squares1.intoArray(sums.squares, lane + LENGTH);
    errors0.intoArray(sums.errors, lane);
    errors1.intoArray(sums.errors, lane + LENGTH);
    sums.max = Math.max(sums.max, Double.longBitsToDouble(max0.max(max1).reduceLanes(MAX)));
  }

  private static DoubleVector widened(float[] x, int at) {
    return (DoubleVector) FloatVector.fromArray(FLOATS, x, at).convertShape(F2D, DOUBLES, 0);
  }
}
