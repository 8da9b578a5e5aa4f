package dev.nibble.formats.internal.simd;

import static dev.nibble.formats.internal.simd.VectorFloats.BYTES;
import static dev.nibble.formats.internal.simd.VectorFloats.FLOATS;
import static dev.nibble.formats.internal.simd.VectorFloats.INTS;
import static java.nio.ByteOrder.LITTLE_ENDIAN;
import static jdk.incubator.vector.VectorOperators.AND;
import static jdk.incubator.vector.VectorOperators.I2B;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.OR;

import dev.nibble.formats.DType;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/// {@link ScalarFp8} with the Vector API, byte for byte. Blocks whose scale is extreme go to the
/// scalar code, as their squares would overflow or vanish in float32.
///
/// Rounding is left to the adder: in `x + 2^(e + cut)`, where `2^e` is the exponent of `x`, the
/// last bit stands for the last bit that the 8-bit float keeps, ties to even. The sum's mantissa is
/// then the mantissa of the code with its leading bit, and the sum less the power of two is the
/// decoded number. Exponents below the least are taken for the least, which is what subnormal
/// numbers are.
final class VectorFp8 implements Fp8Kernel {
  private static final int LANES = FLOATS.length();
  private static final int MAGNITUDE = 0x7fffffff;
  private static final int EXPONENT = 0x7f800000;

  private final ScalarFp8 scalar;
  private final Layout layout;

  /// Where the bits of a code come from.
  ///
  /// @param cut mantissa bits of float32 that the type lacks
  /// @param least biased float32 exponent of the least normal number, above the cut bits
  /// @param limit bits of a number that has the code of all numbers above it
  private record Layout(int cut, int least, int limit) {
    static final Layout E4M3 = new Layout(20, 121 << 23, Float.floatToRawIntBits(448f));
    static final Layout E5M2 = new Layout(21, 113 << 23, Float.floatToRawIntBits(61440f));

    static Layout of(DType type) {
      return type == DType.F8_E4M3 ? E4M3 : E5M2;
    }
  }

  VectorFp8(DType type) {
    this.scalar = new ScalarFp8(type);
    this.layout = Layout.of(type);
  }

  @Override
  public void encode(
      float[] x, int from, int to, float scale, MemorySegment codes, long at, ErrorSum error) {
    if (!ErrorSum.isModerate(scale)) {
      scalar.encode(x, from, to, scale, codes, at, error);
      return;
    }
    int bound = from + FLOATS.loopBound(to - from);
    int cut = layout.cut;
    int least = layout.least;
    int limit = layout.limit;
    FloatVector step = FloatVector.broadcast(FLOATS, scale);
    FloatVector squares = FloatVector.fromArray(FLOATS, error.laneSquares, 0);
    FloatVector errors = FloatVector.fromArray(FLOATS, error.laneErrors, 0);
    IntVector max = IntVector.fromArray(INTS, error.laneMaxBits, 0);
    for (int i = from; i < bound; i += LANES) {
      IntVector bits = FloatVector.fromArray(FLOATS, x, i).reinterpretAsInts();
      FloatVector value = bits.lanewise(AND, MAGNITUDE).reinterpretAsFloats();
      IntVector scaled = value.div(step).reinterpretAsInts();
      scaled = scaled.min(limit);
      IntVector exponent = scaled.lanewise(AND, EXPONENT).max(least);
      IntVector power = exponent.add(cut << 23);
      FloatVector sum = scaled.reinterpretAsFloats().add(power.reinterpretAsFloats());
      IntVector code =
          sum.reinterpretAsInts().sub(power).add(exponent.sub(least).lanewise(LSHR, cut));
      IntVector signed = bits.lanewise(LSHR, 24).lanewise(AND, 0x80).lanewise(OR, code);
      ((ByteVector) signed.convertShape(I2B, BYTES, 0))
          .intoMemorySegment(codes, at + i - from, LITTLE_ENDIAN);
      FloatVector decoded = sum.sub(power.reinterpretAsFloats()).mul(step);
      FloatVector difference = value.sub(decoded);
      squares = value.fma(value, squares);
      errors = difference.fma(difference, errors);
      max = max.max(difference.reinterpretAsInts().lanewise(AND, MAGNITUDE));
    }
    squares.intoArray(error.laneSquares, 0);
    errors.intoArray(error.laneErrors, 0);
    max.intoArray(error.laneMaxBits, 0);
    scalar.encode(x, bound, to, scale, codes, at + bound - from, error);
  }
}
