package dev.nibble.formats.internal.simd;

import static java.nio.ByteOrder.LITTLE_ENDIAN;
import static jdk.incubator.vector.VectorOperators.ADD;
import static jdk.incubator.vector.VectorOperators.AND;
import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.GE;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.I2B;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.I2S;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.LT;
import static jdk.incubator.vector.VectorOperators.OR;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_B2I;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_S2I;

import dev.nibble.formats.DType;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/// {@link ScalarFloats} with the Vector API, bit for bit. F32 is a plain copy and F64 is too rare
/// among sources to be worth a kernel: those two run the scalar code.
final class VectorFloats {
  static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
  static final VectorSpecies<Integer> INTS = IntVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Short> SHORTS =
      VectorSpecies.of(short.class, VectorShape.forBitSize(FLOATS.vectorBitSize() / 2));
  static final VectorSpecies<Byte> BYTES =
      VectorSpecies.of(byte.class, VectorShape.forBitSize(FLOATS.vectorBitSize() / 4));
  private static final int LANES = FLOATS.length();

  private static final int INFINITY = 0x7f800000;
  private static final int QUIET_NAN = 0x7fc00000;

  private VectorFloats() {}

  /// Whether vectors here are long enough to beat scalar code.
  static boolean isWide() {
    return FLOATS.vectorBitSize() >= 256 && INTS.length() == LANES;
  }

  static FloatReader reader(DType type) {
    return switch (type) {
      case BF16 -> VectorFloats::readBf16;
      case F16 -> VectorFloats::readF16;
      case F8_E4M3 -> VectorFloats::readE4m3;
      case F8_E5M2 -> VectorFloats::readE5m2;
      default -> ScalarFloats.reader(type);
    };
  }

  static FloatWriter writer(DType type) {
    return switch (type) {
      case BF16 -> VectorFloats::writeBf16;
      case F16 -> VectorFloats::writeF16;
      case F8_E4M3 -> VectorFloats::writeE4m3;
      case F8_E5M2 -> VectorFloats::writeE5m2;
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

  private static void readE4m3(MemorySegment source, long first, float[] target, int count) {
    int bound = FLOATS.loopBound(count);
    for (int i = 0; i < bound; i += LANES) {
      IntVector code = loadByte(source, first + i);
      IntVector magnitude = code.lanewise(AND, 0x7f);
      IntVector bits = magnitude.lanewise(LSHL, 20).add(120 << 23);
      IntVector small = scaled(magnitude, 0x1p-9f);
      bits = bits.blend(small, magnitude.compare(LT, 8));
      bits = bits.blend(QUIET_NAN, magnitude.compare(GE, 0x7f));
      withSign(bits, code).intoArray(target, i);
    }
    ScalarFloats.readE4m3(source, first, target, bound, count);
  }

  private static void readE5m2(MemorySegment source, long first, float[] target, int count) {
    int bound = FLOATS.loopBound(count);
    for (int i = 0; i < bound; i += LANES) {
      IntVector code = loadByte(source, first + i);
      IntVector magnitude = code.lanewise(AND, 0x7f);
      IntVector bits = magnitude.lanewise(LSHL, 21).add(112 << 23);
      IntVector small = scaled(magnitude, 0x1p-16f);
      bits = bits.blend(small, magnitude.compare(LT, 4));
      IntVector special = magnitude.lanewise(LSHL, 21).lanewise(OR, INFINITY);
      bits = bits.blend(special, magnitude.compare(GE, 0x7c));
      withSign(bits, code).intoArray(target, i);
    }
    ScalarFloats.readE5m2(source, first, target, bound, count);
  }

  /// Bits of `number * step`.
  private static IntVector scaled(IntVector number, float step) {
    return ((FloatVector) number.convert(I2F, 0)).mul(step).reinterpretAsInts();
  }

  private static FloatVector withSign(IntVector bits, IntVector code) {
    return code.lanewise(AND, 0x80).lanewise(LSHL, 24).lanewise(OR, bits).reinterpretAsFloats();
  }

  private static IntVector loadByte(MemorySegment source, long element) {
    return (IntVector)
        ByteVector.fromMemorySegment(BYTES, source, element, LITTLE_ENDIAN)
            .convertShape(ZERO_EXTEND_B2I, INTS, 0);
  }

  private static void writeE4m3(float[] source, int count, MemorySegment target, long first) {
    int bound = FLOATS.loopBound(count);
    for (int i = 0; i < bound; i += LANES) {
      IntVector bits = FloatVector.fromArray(FLOATS, source, i).reinterpretAsInts();
      IntVector magnitude = bits.lanewise(AND, 0x7fffffff);
      IntVector code = roundAt(magnitude, 20).sub(120 << 3).min(0x7e);
      IntVector small = magnitude.reinterpretAsFloats().add(0x1p14f).reinterpretAsInts();
      code = code.blend(small.sub(141 << 23), magnitude.compare(LT, 121 << 23));
      storeF8(code, bits, magnitude, target, first + i);
    }
    ScalarFloats.writeE4m3(source, bound, count, target, first);
  }

  private static void writeE5m2(float[] source, int count, MemorySegment target, long first) {
    int bound = FLOATS.loopBound(count);
    for (int i = 0; i < bound; i += LANES) {
      IntVector bits = FloatVector.fromArray(FLOATS, source, i).reinterpretAsInts();
      IntVector magnitude = bits.lanewise(AND, 0x7fffffff);
      IntVector code = roundAt(magnitude, 21).sub(112 << 2).min(0x7c);
      IntVector small = magnitude.reinterpretAsFloats().add(0x1p7f).reinterpretAsInts();
      code = code.blend(small.sub(134 << 23), magnitude.compare(LT, 113 << 23));
      storeF8(code, bits, magnitude, target, first + i);
    }
    ScalarFloats.writeE5m2(source, bound, count, target, first);
  }

  /// Cuts bits off, to nearest even.
  private static IntVector roundAt(IntVector magnitude, int bit) {
    return magnitude
        .lanewise(LSHR, bit)
        .lanewise(AND, 1)
        .add(magnitude)
        .lanewise(ADD, (1 << (bit - 1)) - 1)
        .lanewise(LSHR, bit);
  }

  private static void storeF8(
      IntVector code, IntVector bits, IntVector magnitude, MemorySegment target, long at) {
    IntVector known = code.blend(0x7f, magnitude.compare(GT, INFINITY));
    IntVector signed = bits.lanewise(LSHR, 24).lanewise(AND, 0x80).lanewise(OR, known);
    ((ByteVector) signed.convertShape(I2B, BYTES, 0)).intoMemorySegment(target, at, LITTLE_ENDIAN);
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
