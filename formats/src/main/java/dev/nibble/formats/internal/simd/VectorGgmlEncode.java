package dev.nibble.formats.internal.simd;

import static dev.nibble.formats.internal.simd.BlockBytes.setHalf;
import static dev.nibble.formats.internal.simd.BlockBytes.setInt32;
import static dev.nibble.formats.internal.simd.VectorFloats.FLOATS;
import static dev.nibble.formats.internal.simd.VectorFloats.INTS;
import static jdk.incubator.vector.VectorOperators.ADD;
import static jdk.incubator.vector.VectorOperators.AND;
import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.EQ;
import static jdk.incubator.vector.VectorOperators.F2I;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.I2B;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.MAX;
import static jdk.incubator.vector.VectorOperators.MIN;
import static jdk.incubator.vector.VectorOperators.OR;
import static jdk.incubator.vector.VectorOperators.XOR;

import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/// Encoders of ggml's blocks of 32 that need no search, in vectors. Blocks with a scale whose
/// reciprocal is not finite, or with a zero for an extreme, go to the scalar code in the type's
/// codec: there the sign of a zero or the conversion of infinity would decide bytes.
final class VectorGgmlEncode {
  private static final int LANES = FLOATS.length();
  private static final VectorSpecies<Byte> BYTES =
      VectorSpecies.of(byte.class, VectorShape.forBitSize(FLOATS.vectorBitSize() / 4));
  private static final int SIZE = 32;
  private static final int MAGNITUDE = 0x7fffffff;
  private static final int BELOW_HALF = Float.floatToRawIntBits(GgmlMath.BELOW_HALF);

  private VectorGgmlEncode() {}

  /// The encoder of that kind.
  static GgmlKernels.Encode of(BlockKind kind, GgmlKernels.Encode scalar) {
    return switch (kind) {
      case Q4_0 -> (x, from, count, blocks) -> q40(x, from, count, blocks, scalar);
      case Q5_0 -> (x, from, count, blocks) -> q50(x, from, count, blocks, scalar);
      case Q4_1 -> (x, from, count, blocks) -> q41(x, from, count, blocks, scalar);
      case Q5_1 -> (x, from, count, blocks) -> q51(x, from, count, blocks, scalar);
      case Q8_0 -> (x, from, count, blocks) -> q80(x, from, count, blocks, scalar);
      case MXFP4 -> VectorGgmlEncode::mxfp4;
      case Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS -> scalar;
    };
  }

  private static FloatVector load(float[] x, int at) {
    return FloatVector.fromArray(FLOATS, x, at);
  }

  private static void store(IntVector low8, byte[] blocks, int at) {
    ((ByteVector) low8.convertShape(I2B, BYTES, 0)).intoArray(blocks, at);
  }

  /// Encodes one block by the scalar code.
  private static void scalarBlock(
      GgmlKernels.Encode scalar, float[] x, int from, byte[] blocks, int at, int size) {
    byte[] block = new byte[size];
    scalar.encode(x, from, SIZE, block);
    System.arraycopy(block, 0, blocks, at, size);
  }

  private static IntVector truncate(FloatVector value) {
    return (IntVector) value.convert(F2I, 0);
  }

  private static IntVector magnitude(float[] x, int at) {
    return load(x, at).reinterpretAsInts().lanewise(AND, MAGNITUDE);
  }

  private static float largest(float[] x, int at) {
    IntVector most = magnitude(x, at);
    for (int j = LANES; j < SIZE; j += LANES) {
      most = most.max(magnitude(x, at + j));
    }
    return Float.intBitsToFloat(most.reduceLanes(MAX));
  }

  /// The first number of largest magnitude.
  private static float extreme(float[] x, int at) {
    int most = Float.floatToRawIntBits(largest(x, at));
    long places = 0;
    for (int j = 0; j < SIZE; j += LANES) {
      places |= magnitude(x, at + j).compare(EQ, most).toLong() << j;
    }
    return x[at + Long.numberOfTrailingZeros(places)];
  }

  private static boolean isFinite(float reciprocal) {
    return Math.abs(reciprocal) <= Float.MAX_VALUE;
  }

  private static void q40(
      float[] x, int from, int count, byte[] blocks, GgmlKernels.Encode scalar) {
    int block = 0;
    for (int i = from; i < from + count; i += SIZE, block += 18) {
      float d = extreme(x, i) / -8;
      float inverse = 1 / d;
      if (!isFinite(inverse)) {
        scalarBlock(scalar, x, i, blocks, block, 18);
        continue;
      }
      setHalf(blocks, block, d);
      for (int j = 0; j < 16; j += LANES) {
        IntVector low = truncate(load(x, i + j).mul(inverse).add(8.5f)).min(15);
        IntVector high = truncate(load(x, i + 16 + j).mul(inverse).add(8.5f)).min(15);
        store(low.lanewise(OR, high.lanewise(LSHL, 4)), blocks, block + 2 + j);
      }
    }
  }

  /// Bit 4 of each lane, gathered.
  private static int fifths(IntVector codes) {
    return (int) codes.lanewise(AND, 16).compare(EQ, 16).toLong();
  }

  private static void q50(
      float[] x, int from, int count, byte[] blocks, GgmlKernels.Encode scalar) {
    int block = 0;
    for (int i = from; i < from + count; i += SIZE, block += 22) {
      float d = extreme(x, i) / -16;
      float inverse = 1 / d;
      if (!isFinite(inverse)) {
        scalarBlock(scalar, x, i, blocks, block, 22);
        continue;
      }
      setHalf(blocks, block, d);
      int word = 0;
      for (int j = 0; j < 16; j += LANES) {
        IntVector low = truncate(load(x, i + j).mul(inverse).add(16.5f)).min(31);
        IntVector high = truncate(load(x, i + 16 + j).mul(inverse).add(16.5f)).min(31);
        word |= fifths(low) << j | fifths(high) << (16 + j);
        store(low.lanewise(AND, 15).lanewise(OR, high.lanewise(LSHL, 4)), blocks, block + 6 + j);
      }
      setInt32(blocks, block + 2, word);
    }
  }

  /// Bits of floats as integers of the same order, and back.
  private static IntVector ordered(IntVector bits) {
    return bits.lanewise(XOR, bits.lanewise(ASHR, 31).lanewise(AND, MAGNITUDE));
  }

  private static float unordered(int order) {
    return Float.intBitsToFloat(order ^ ((order >> 31) & MAGNITUDE));
  }

  private static float least(float[] x, int at) {
    IntVector least = ordered(load(x, at).reinterpretAsInts());
    for (int j = LANES; j < SIZE; j += LANES) {
      least = least.min(ordered(load(x, at + j).reinterpretAsInts()));
    }
    return unordered(least.reduceLanes(MIN));
  }

  private static float most(float[] x, int at) {
    IntVector most = ordered(load(x, at).reinterpretAsInts());
    for (int j = LANES; j < SIZE; j += LANES) {
      most = most.max(ordered(load(x, at + j).reinterpretAsInts()));
    }
    return unordered(most.reduceLanes(MAX));
  }

  private static void q41(
      float[] x, int from, int count, byte[] blocks, GgmlKernels.Encode scalar) {
    int block = 0;
    for (int i = from; i < from + count; i += SIZE, block += 20) {
      float min = least(x, i);
      float max = most(x, i);
      float d = (max - min) / 15;
      float inverse = 1 / d;
      if (min == 0 || max == 0 || !isFinite(inverse) || !isFinite(d)) {
        scalarBlock(scalar, x, i, blocks, block, 20);
        continue;
      }
      setHalf(blocks, block, d);
      setHalf(blocks, block + 2, min);
      for (int j = 0; j < 16; j += LANES) {
        IntVector low = truncate(load(x, i + j).sub(min).mul(inverse).add(0.5f)).min(15);
        IntVector high = truncate(load(x, i + 16 + j).sub(min).mul(inverse).add(0.5f)).min(15);
        store(low.lanewise(OR, high.lanewise(LSHL, 4)), blocks, block + 4 + j);
      }
    }
  }

  private static void q51(
      float[] x, int from, int count, byte[] blocks, GgmlKernels.Encode scalar) {
    int block = 0;
    for (int i = from; i < from + count; i += SIZE, block += 24) {
      float min = least(x, i);
      float max = most(x, i);
      float d = (max - min) / 31;
      float inverse = 1 / d;
      if (min == 0 || max == 0 || !isFinite(inverse) || !isFinite(d)) {
        scalarBlock(scalar, x, i, blocks, block, 24);
        continue;
      }
      setHalf(blocks, block, d);
      setHalf(blocks, block + 2, min);
      int word = 0;
      for (int j = 0; j < 16; j += LANES) {
        IntVector low = truncate(load(x, i + j).sub(min).mul(inverse).add(0.5f));
        IntVector high = truncate(load(x, i + 16 + j).sub(min).mul(inverse).add(0.5f));
        word |= fifths(low) << j | fifths(high) << (16 + j);
        store(low.lanewise(AND, 15).lanewise(OR, high.lanewise(LSHL, 4)), blocks, block + 8 + j);
      }
      setInt32(blocks, block + 4, word);
    }
  }

  private static void q80(
      float[] x, int from, int count, byte[] blocks, GgmlKernels.Encode scalar) {
    int block = 0;
    for (int i = from; i < from + count; i += SIZE, block += 34) {
      float d = largest(x, i) / 127;
      float inverse = 1 / d;
      if (!isFinite(inverse)) {
        scalarBlock(scalar, x, i, blocks, block, 34);
        continue;
      }
      setHalf(blocks, block, d);
      for (int j = 0; j < SIZE; j += LANES) {
        FloatVector place = load(x, i + j).mul(inverse);
        FloatVector half =
            place
                .reinterpretAsInts()
                .lanewise(AND, ~MAGNITUDE)
                .lanewise(OR, BELOW_HALF)
                .reinterpretAsFloats();
        store(truncate(place.add(half)), blocks, block + 2 + j);
      }
    }
  }

  /// Codes as {@link E2m1#nearest} finds them.
  private static IntVector e2m1(FloatVector x, int[] middleBits) {
    IntVector bits = x.reinterpretAsInts();
    IntVector magnitude = bits.lanewise(AND, MAGNITUDE);
    IntVector code = IntVector.zero(INTS);
    for (int middle : middleBits) {
      code = code.lanewise(ADD, 1, magnitude.compare(GT, middle));
    }
    IntVector sign = bits.lanewise(LSHR, 28).lanewise(AND, 8);
    return code.lanewise(OR, sign, code.compare(GT, 0));
  }

  private static void mxfp4(float[] x, int from, int count, byte[] blocks) {
    int[] middleBits = new int[E2m1.MIDDLES];
    int block = 0;
    for (int i = from; i < from + count; i += SIZE, block += 17) {
      int exponent = E2m1.exponent(largest(x, i));
      E2m1.middles(E2m1.halfScale(exponent), middleBits);
      blocks[block] = (byte) exponent;
      for (int j = 0; j < 16; j += LANES) {
        IntVector low = e2m1(load(x, i + j), middleBits);
        IntVector high = e2m1(load(x, i + 16 + j), middleBits);
        store(low.lanewise(OR, high.lanewise(LSHL, 4)), blocks, block + 1 + j);
      }
    }
  }
}
