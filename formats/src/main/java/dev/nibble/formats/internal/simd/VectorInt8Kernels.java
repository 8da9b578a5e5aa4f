package dev.nibble.formats.internal.simd;

import static dev.nibble.formats.internal.simd.ScalarInt8Kernels.WHOLE;
import static dev.nibble.formats.internal.simd.ScalarInt8Kernels.WHOLE_BITS;
import static dev.nibble.formats.internal.simd.VectorFloats.BYTES;
import static dev.nibble.formats.internal.simd.VectorFloats.FLOATS;
import static dev.nibble.formats.internal.simd.VectorFloats.INTS;
import static java.nio.ByteOrder.LITTLE_ENDIAN;
import static jdk.incubator.vector.VectorOperators.AND;
import static jdk.incubator.vector.VectorOperators.B2I;
import static jdk.incubator.vector.VectorOperators.F2I;
import static jdk.incubator.vector.VectorOperators.GE;
import static jdk.incubator.vector.VectorOperators.I2B;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LT;
import static jdk.incubator.vector.VectorOperators.MAX;
import static jdk.incubator.vector.VectorOperators.OR;
import static jdk.incubator.vector.VectorOperators.XOR;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_B2I;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/// {@link ScalarInt8Kernels} with the Vector API, byte for byte. Blocks whose scale is extreme go
/// to the scalar code, as their squares would overflow or vanish in float32.
///
/// Maxima are taken on the bits as integers, one instruction where a float maximum that cares for
/// NaN and -0 takes five, and NaN shows as a number above infinity.
final class VectorInt8Kernels implements Int8Kernels {
  private static final int LANES = FLOATS.length();
  private static final int MAGNITUDE = 0x7fffffff;

  private final ScalarInt8Kernels scalar = new ScalarInt8Kernels();

  @Override
  public int absmaxBits(float[] x, int from, int to) {
    int bound = from + FLOATS.loopBound(to - from);
    IntVector max = IntVector.zero(INTS);
    for (int i = from; i < bound; i += LANES) {
      max = max.max(bits(x, i).lanewise(AND, MAGNITUDE));
    }
    return Math.max(max.reduceLanes(MAX), scalar.absmaxBits(x, bound, to));
  }

  @Override
  public long rangeBits(float[] x, int from, int to) {
    int bound = from + FLOATS.loopBound(to - from);
    IntVector high = IntVector.zero(INTS);
    IntVector low = IntVector.zero(INTS);
    for (int i = from; i < bound; i += LANES) {
      IntVector bits = bits(x, i);
      high = high.max(bits);
      low = low.max(bits.lanewise(XOR, 0x80000000));
    }
    long rest = scalar.rangeBits(x, bound, to);
    long highest = Math.max(high.reduceLanes(MAX), (int) (rest >>> 32));
    return highest << 32 | Math.max(low.reduceLanes(MAX), (int) rest);
  }

  @Override
  public void throughHalf(float[] x, int from, int to, float[] target) {
    int bound = from + FLOATS.loopBound(to - from);
    for (int i = from; i < bound; i += LANES) {
      IntVector bits = bits(x, i);
      IntVector magnitude = bits.lanewise(AND, MAGNITUDE);
      // Half a step of bit 13 less one, one more where the kept part is odd, then cut.
      IntVector half =
          magnitude
              .lanewise(VectorOperators.LSHR, 13)
              .lanewise(AND, 1)
              .add(magnitude)
              .add(0xfff)
              .lanewise(AND, ~0x1fff);
      half = half.blend(0x7f800000, half.compare(GE, 0x47800000));
      half = half.blend(magnitude, magnitude.compare(GE, 0x7f800000));
      // Below 2^-14 the step is 2^-24, which is that of float32 at 0.5.
      FloatVector small = magnitude.reinterpretAsFloats().add(0.5f).sub(0.5f);
      half = half.blend(small.reinterpretAsInts(), magnitude.compare(LT, 113 << 23));
      half.lanewise(OR, bits.lanewise(AND, 0x80000000)).reinterpretAsFloats().intoArray(target, i);
    }
    scalar.throughHalf(x, bound, to, target);
  }

  @Override
  public void divide(
      float[] x, int from, int to, float scale, MemorySegment codes, long at, ErrorSum error) {
    if (!ErrorSum.isModerate(scale)) {
      scalar.divide(x, from, to, scale, codes, at, error);
      return;
    }
    int bound = from + FLOATS.loopBound(to - from);
    FloatVector step = FloatVector.broadcast(FLOATS, scale);
    FloatVector squares = FloatVector.fromArray(FLOATS, error.laneSquares, 0);
    FloatVector errors = FloatVector.fromArray(FLOATS, error.laneErrors, 0);
    IntVector max = IntVector.fromArray(INTS, error.laneMaxBits, 0);
    for (int i = from; i < bound; i += LANES) {
      FloatVector value = FloatVector.fromArray(FLOATS, x, i);
      IntVector q = round(value.div(step)).max(-127).min(127);
      store(q, codes, at + i - from);
      FloatVector difference = value.sub(((FloatVector) q.convert(I2F, 0)).mul(step));
      squares = value.fma(value, squares);
      errors = difference.fma(difference, errors);
      max = max.max(difference.reinterpretAsInts().lanewise(AND, MAGNITUDE));
    }
    squares.intoArray(error.laneSquares, 0);
    errors.intoArray(error.laneErrors, 0);
    max.intoArray(error.laneMaxBits, 0);
    scalar.divide(x, bound, to, scale, codes, at + bound - from, error);
  }

  @Override
  public void multiply(
      float[] x,
      float[] rounded,
      int from,
      int to,
      float factor,
      float first,
      float second,
      MemorySegment codes,
      long at,
      ErrorSum error) {
    if (!ErrorSum.isModerate(first)) {
      scalar.multiply(x, rounded, from, to, factor, first, second, codes, at, error);
      return;
    }
    int bound = from + FLOATS.loopBound(to - from);
    FloatVector squares = FloatVector.fromArray(FLOATS, error.laneSquares, 0);
    FloatVector errors = FloatVector.fromArray(FLOATS, error.laneErrors, 0);
    IntVector max = IntVector.fromArray(INTS, error.laneMaxBits, 0);
    for (int i = from; i < bound; i += LANES) {
      FloatVector value = FloatVector.fromArray(FLOATS, x, i);
      IntVector q = round(FloatVector.fromArray(FLOATS, rounded, i).mul(factor)).max(-127).min(127);
      store(q, codes, at + i - from);
      FloatVector decoded = ((FloatVector) q.convert(I2F, 0)).mul(first).mul(second);
      FloatVector difference = value.sub(decoded);
      squares = value.fma(value, squares);
      errors = difference.fma(difference, errors);
      max = max.max(difference.reinterpretAsInts().lanewise(AND, MAGNITUDE));
    }
    squares.intoArray(error.laneSquares, 0);
    errors.intoArray(error.laneErrors, 0);
    max.intoArray(error.laneMaxBits, 0);
    scalar.multiply(x, rounded, bound, to, factor, first, second, codes, at + bound - from, error);
  }

  @Override
  public void affine(
      float[] x,
      int from,
      int to,
      float scale,
      int zero,
      int largest,
      MemorySegment codes,
      long at,
      ErrorSum error) {
    if (!ErrorSum.isModerate(scale)) {
      scalar.affine(x, from, to, scale, zero, largest, codes, at, error);
      return;
    }
    int bound = from + FLOATS.loopBound(to - from);
    FloatVector step = FloatVector.broadcast(FLOATS, scale);
    FloatVector squares = FloatVector.fromArray(FLOATS, error.laneSquares, 0);
    FloatVector errors = FloatVector.fromArray(FLOATS, error.laneErrors, 0);
    IntVector max = IntVector.fromArray(INTS, error.laneMaxBits, 0);
    for (int i = from; i < bound; i += LANES) {
      FloatVector value = FloatVector.fromArray(FLOATS, x, i);
      IntVector q = round(value.div(step)).add(zero).max(0).min(largest);
      store(q, codes, at + i - from);
      FloatVector decoded = ((FloatVector) q.sub(zero).convert(I2F, 0)).mul(step);
      FloatVector difference = value.sub(decoded);
      squares = value.fma(value, squares);
      errors = difference.fma(difference, errors);
      max = max.max(difference.reinterpretAsInts().lanewise(AND, MAGNITUDE));
    }
    squares.intoArray(error.laneSquares, 0);
    errors.intoArray(error.laneErrors, 0);
    max.intoArray(error.laneMaxBits, 0);
    scalar.affine(x, bound, to, scale, zero, largest, codes, at + bound - from, error);
  }

  @Override
  public void lookUp(
      float[] x,
      int from,
      int to,
      float inverse,
      float absmax,
      byte[] table,
      float[] values,
      DecodedWork work,
      MemorySegment codes,
      long at,
      ErrorSum error) {
    if (!ErrorSum.isModerate(absmax)) {
      scalar.lookUp(x, from, to, inverse, absmax, table, values, work, codes, at, error);
      return;
    }
    int bound = from + FLOATS.loopBound(to - from);
    int[] indexes = work.indexes;
    for (int i = from; i < bound; i += LANES) {
      FloatVector scaled = FloatVector.fromArray(FLOATS, x, i).mul(inverse);
      // A magnitude above 1 is at most an ulp above; the index is then cut to the table.
      FloatVector place = scaled.add(1f).mul(0.5f).mul(65535f).add(0.5f);
      ((IntVector) place.convert(F2I, 0)).max(0).min(65535).intoArray(indexes, i);
    }
    float[] decoded = work.decoded;
    byte[] found = work.codes;
    for (int i = from; i < bound; i++) {
      byte code = table[indexes[i] & 0xffff];
      found[i] = code;
      decoded[i] = values[code & 0xff];
    }
    MemorySegment.copy(found, from, codes, ValueLayout.JAVA_BYTE, at, bound - from);
    addErrors(x, decoded, absmax, from, bound, error);
    scalar.lookUp(
        x, bound, to, inverse, absmax, table, values, work, codes, at + bound - from, error);
  }

  private static void addErrors(
      float[] x, float[] decoded, float factor, int from, int bound, ErrorSum error) {
    FloatVector squares = FloatVector.fromArray(FLOATS, error.laneSquares, 0);
    FloatVector errors = FloatVector.fromArray(FLOATS, error.laneErrors, 0);
    IntVector max = IntVector.fromArray(INTS, error.laneMaxBits, 0);
    for (int i = from; i < bound; i += LANES) {
      FloatVector value = FloatVector.fromArray(FLOATS, x, i);
      FloatVector difference = value.sub(FloatVector.fromArray(FLOATS, decoded, i).mul(factor));
      squares = value.fma(value, squares);
      errors = difference.fma(difference, errors);
      max = max.max(difference.reinterpretAsInts().lanewise(AND, MAGNITUDE));
    }
    squares.intoArray(error.laneSquares, 0);
    errors.intoArray(error.laneErrors, 0);
    max.intoArray(error.laneMaxBits, 0);
  }

  @Override
  public void decodeSigned(
      MemorySegment codes, long at, float first, float second, float[] out, int from, int to) {
    int bound = from + FLOATS.loopBound(to - from);
    for (int i = from; i < bound; i += LANES) {
      IntVector q =
          (IntVector)
              ByteVector.fromMemorySegment(BYTES, codes, at + i - from, LITTLE_ENDIAN)
                  .convertShape(B2I, INTS, 0);
      ((FloatVector) q.convert(I2F, 0)).mul(first).mul(second).intoArray(out, i);
    }
    scalar.decodeSigned(codes, at + bound - from, first, second, out, bound, to);
  }

  @Override
  public void decodeAffine(
      MemorySegment codes,
      long at,
      int flip,
      int zero,
      float scale,
      float[] out,
      int from,
      int to) {
    int bound = from + FLOATS.loopBound(to - from);
    for (int i = from; i < bound; i += LANES) {
      IntVector q =
          (IntVector)
              ByteVector.fromMemorySegment(BYTES, codes, at + i - from, LITTLE_ENDIAN)
                  .convertShape(ZERO_EXTEND_B2I, INTS, 0);
      IntVector centred = q.lanewise(XOR, flip).sub(zero);
      ((FloatVector) centred.convert(I2F, 0)).mul(scale).intoArray(out, i);
    }
    scalar.decodeAffine(codes, at + bound - from, flip, zero, scale, out, bound, to);
  }

  /// A table of 256 floats is best read by scalar loads: there is no vector form to win by.
  @Override
  public void decodeLookUp(
      MemorySegment codes, long at, float[] values, float absmax, float[] out, int from, int to) {
    scalar.decodeLookUp(codes, at, values, absmax, out, from, to);
  }

  private static IntVector bits(float[] x, int i) {
    return FloatVector.fromArray(FLOATS, x, i).reinterpretAsInts();
  }

  private static IntVector round(FloatVector value) {
    return value.add(WHOLE).reinterpretAsInts().sub(WHOLE_BITS);
  }

  private static void store(IntVector low8, MemorySegment target, long at) {
    ((ByteVector) low8.convertShape(I2B, BYTES, 0)).intoMemorySegment(target, at, LITTLE_ENDIAN);
  }
}
