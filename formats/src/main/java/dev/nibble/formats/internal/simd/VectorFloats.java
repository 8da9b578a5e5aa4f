package dev.nibble.formats.internal.simd;

import static java.nio.ByteOrder.LITTLE_ENDIAN;
import static jdk.incubator.vector.VectorOperators.ADD;
import static jdk.incubator.vector.VectorOperators.AND;
import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.GE;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.I2S;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.LT;
import static jdk.incubator.vector.VectorOperators.OR;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_S2I;

import dev.nibble.formats.DType;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/// {@link ScalarFloats} with the Vector API, bit for bit. F32 is a plain copy, F64 and F8 are too
/// rare among sources to be worth a kernel: those three run the scalar code.
final class VectorFloats {
  static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
  static final VectorSpecies<Integer> INTS = IntVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Short> SHORTS =
      VectorSpecies.of(short.class, VectorShape.forBitSize(FLOATS.vectorBitSize() / 2));
  private static final int LANES = FLOATS.length();

  private static final int INFINITY = 0x7f800000;

  private VectorFloats() {}

  /// Whether vectors here are long enough to beat scalar code.
  static boolean isWide() {
    return FLOATS.vectorBitSize() >= 256 && INTS.length() == LANES;
  }

  static FloatReader reader(DType type) {
    return switch (type) {
      case BF16 -> VectorFloats::readBf16;
      case F16 -> VectorFloats::readF16;
      default -> ScalarFloats.reader(type);
    };
  }

  static FloatWriter writer(DType type) {
    return switch (type) {
      case BF16 -> VectorFloats::writeBf16;
      case F16 -> VectorFloats::writeF16;
      default -> ScalarFloats.writer(type);
    };
  }

  private static void readBf16(MemorySegment source, long first, float[] target, int count) {
    int bound = FLOATS.loopBound(count);
    for (int i = 0; i < bound; i += LANES) {
      load(source, first + i).lanewise(LSHL, 16).reinterpretAsFloats().intoArray(target, i);
    }
    ScalarFloats.readBf16(source, first, target, bound, count);
  }

  private static void readF16(MemorySegment source, long first, float[] target, int count) {
    int bound = FLOATS.loopBound(count);
    for (int i = 0; i < bound; i += LANES) {
      IntVector half = load(source, first + i);
      IntVector sign = half.lanewise(AND, 0x8000).lanewise(LSHL, 16);
      IntVector magnitude = half.lanewise(AND, 0x7fff);
      // Exponents are rebased by 127 - 15; the infinite exponent 31 moves on to 255, and numbers
      // without leading bit are counted in steps of 2^-24.
      IntVector wide = magnitude.lanewise(LSHL, 13).lanewise(ADD, 112 << 23);
      wide = wide.lanewise(ADD, 112 << 23, magnitude.compare(GE, 0x7c00));
      FloatVector small = ((FloatVector) magnitude.convert(I2F, 0)).mul(0x1p-24f);
      wide = wide.blend(small.reinterpretAsInts(), magnitude.compare(LT, 0x400));
      wide.lanewise(OR, sign).reinterpretAsFloats().intoArray(target, i);
    }
    ScalarFloats.readF16(source, first, target, bound, count);
  }

  private static void writeBf16(float[] source, int count, MemorySegment target, long first) {
    int bound = FLOATS.loopBound(count);
    for (int i = 0; i < bound; i += LANES) {
      IntVector bits = FloatVector.fromArray(FLOATS, source, i).reinterpretAsInts();
      store(toBf16(bits), target, first + i);
    }
    ScalarFloats.writeBf16(source, bound, count, target, first);
  }

  private static void writeF16(float[] source, int count, MemorySegment target, long first) {
    int bound = FLOATS.loopBound(count);
    for (int i = 0; i < bound; i += LANES) {
      IntVector bits = FloatVector.fromArray(FLOATS, source, i).reinterpretAsInts();
      store(toF16(bits), target, first + i);
    }
    ScalarFloats.writeF16(source, bound, count, target, first);
  }

  /// Float32 bits to BF16 bits in the lower half of each lane.
  static IntVector toBf16(IntVector bits) {
    IntVector upper = bits.lanewise(LSHR, 16);
    IntVector rounded = upper.lanewise(AND, 1).add(bits).lanewise(ADD, 0x7fff).lanewise(LSHR, 16);
    IntVector quiet = upper.lanewise(OR, 0x40);
    return rounded.blend(quiet, bits.lanewise(AND, 0x7fffffff).compare(GT, INFINITY));
  }

  /// Float32 bits to F16 bits in the lower half of each lane.
  static IntVector toF16(IntVector bits) {
    IntVector magnitude = bits.lanewise(AND, 0x7fffffff);
    // Rounds at bit 13 by adding one less than half a step, and one more where the kept part is
    // odd; a carry out of the mantissa is the next exponent, up to infinity.
    IntVector half =
        magnitude
            .lanewise(LSHR, 13)
            .lanewise(AND, 1)
            .add(magnitude)
            .lanewise(ADD, 0xfff - (112 << 23))
            .lanewise(ASHR, 13)
            .min(0x7c00);
    // Below 2^-14 the step is 2^-24, which is that of float32 at 0.5: the adder rounds.
    IntVector small = magnitude.reinterpretAsFloats().add(0.5f).reinterpretAsInts().sub(0x3f000000);
    half = half.blend(small, magnitude.compare(LT, 113 << 23));
    IntVector nan = magnitude.lanewise(LSHR, 13).lanewise(AND, 0x3ff).lanewise(OR, 0x7e00);
    half = half.blend(nan, magnitude.compare(GT, INFINITY));
    return bits.lanewise(LSHR, 16).lanewise(AND, 0x8000).lanewise(OR, half);
  }

  private static IntVector load(MemorySegment source, long element) {
    return (IntVector)
        ShortVector.fromMemorySegment(SHORTS, source, element * 2, LITTLE_ENDIAN)
            .convertShape(ZERO_EXTEND_S2I, INTS, 0);
  }

  private static void store(IntVector low16, MemorySegment target, long element) {
    ((ShortVector) low16.convertShape(I2S, SHORTS, 0))
        .intoMemorySegment(target, element * 2, LITTLE_ENDIAN);
  }
}
