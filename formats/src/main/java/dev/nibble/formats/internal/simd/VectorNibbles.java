package dev.nibble.formats.internal.simd;

import static dev.nibble.formats.internal.simd.VectorFloats.FLOATS;
import static java.nio.ByteOrder.LITTLE_ENDIAN;
import static jdk.incubator.vector.VectorOperators.AND;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.OR;
import static jdk.incubator.vector.VectorOperators.S2B;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_B2L;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/// {@link ScalarNibbles} with the Vector API, bit for bit. Neighbours meet in lanes twice as wide:
/// two bytes are a short, and a byte in a long becomes two ints.
final class VectorNibbles implements NibbleKernels {
  private static final VectorSpecies<Byte> CODES =
      VectorSpecies.of(byte.class, FLOATS.vectorShape());
  private static final VectorSpecies<Byte> PAIRS =
      VectorSpecies.of(byte.class, VectorShape.forBitSize(FLOATS.vectorBitSize() / 2));
  private static final VectorSpecies<Long> LONGS =
      VectorSpecies.of(long.class, FLOATS.vectorShape());

  /// Eight pairs: one vector of floats of 512 bits, two of 256.
  private static final VectorSpecies<Byte> EIGHT = ByteVector.SPECIES_64;

  private static final int LANES = FLOATS.length();
  private static final int STEP = 16;

  private final ScalarNibbles scalar = new ScalarNibbles();

  @Override
  public void pack(byte[] codes, int count, MemorySegment packed, long at) {
    int bound = CODES.loopBound(count);
    for (int i = 0; i < bound; i += CODES.length()) {
      ShortVector pairs = ByteVector.fromArray(CODES, codes, i).reinterpretAsShorts();
      ShortVector bytes = pairs.lanewise(LSHR, 4).lanewise(OR, pairs);
      ((ByteVector) bytes.convertShape(S2B, PAIRS, 0))
          .intoMemorySegment(packed, at + i / 2, LITTLE_ENDIAN);
    }
    scalar.pack(codes, bound, count, packed, at + bound / 2);
  }

  @Override
  public void decode(
      MemorySegment packed, long first, int zero, float scale, float[] out, int from, int to) {
    int begin = Math.min(to, from + (int) (first & 1));
    scalar.decode(packed, first, zero, scale, out, from, begin);
    int bound = begin + (to - begin) / STEP * STEP;
    long at = (first + 1) >> 1;
    for (int i = begin; i < bound; i += STEP) {
      ByteVector pairs =
          ByteVector.fromMemorySegment(EIGHT, packed, at + (i - begin) / 2, LITTLE_ENDIAN);
      decode((LongVector) pairs.convertShape(ZERO_EXTEND_B2L, LONGS, 0), zero, scale, out, i);
      if (LANES < STEP) {
        LongVector second = (LongVector) pairs.convertShape(ZERO_EXTEND_B2L, LONGS, 1);
        decode(second, zero, scale, out, i + LANES);
      }
    }
    scalar.decode(packed, first + bound - from, zero, scale, out, bound, to);
  }

  private static void decode(LongVector pairs, int zero, float scale, float[] out, int at) {
    IntVector codes =
        pairs
            .lanewise(LSHL, 28)
            .lanewise(OR, pairs)
            .lanewise(AND, 0x0000000f_0000000fL)
            .reinterpretAsInts();
    ((FloatVector) codes.sub(zero).convert(I2F, 0)).mul(scale).intoArray(out, at);
  }
}
