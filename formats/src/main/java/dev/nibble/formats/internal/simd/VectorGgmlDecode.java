package dev.nibble.formats.internal.simd;

import static dev.nibble.formats.internal.simd.BlockBytes.half;
import static dev.nibble.formats.internal.simd.BlockBytes.int16;
import static dev.nibble.formats.internal.simd.BlockBytes.int32;
import static dev.nibble.formats.internal.simd.BlockBytes.int64;
import static dev.nibble.formats.internal.simd.BlockBytes.unsigned;
import static dev.nibble.formats.internal.simd.VectorFloats.FLOATS;
import static dev.nibble.formats.internal.simd.VectorFloats.INTS;
import static jdk.incubator.vector.VectorOperators.AND;
import static jdk.incubator.vector.VectorOperators.B2I;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.OR;
import static jdk.incubator.vector.VectorOperators.ZERO_EXTEND_B2I;

import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/// Decoders of ggml's blocks in vectors; the blocks are drawn in the types' codecs, whose scalar
/// code gives the same numbers. Bytes are spread to lanes of 32 bits, from which shifts and masks
/// take the codes.
final class VectorGgmlDecode {
  private static final int LANES = FLOATS.length();
  private static final VectorSpecies<Byte> BYTES =
      VectorSpecies.of(byte.class, VectorShape.forBitSize(FLOATS.vectorBitSize() / 4));

  private VectorGgmlDecode() {}

  /// The decoder of that kind; the scalar one for tables of 16 values in shorter vectors.
  static GgmlKernels.Decode of(BlockKind kind, GgmlKernels.Decode scalar) {
    return switch (kind) {
      case Q4_0 -> VectorGgmlDecode::q40;
      case Q4_1 -> VectorGgmlDecode::q41;
      case Q5_0 -> VectorGgmlDecode::q50;
      case Q5_1 -> VectorGgmlDecode::q51;
      case Q8_0 -> VectorGgmlDecode::q80;
      case Q2_K -> VectorGgmlDecode::q2K;
      case Q3_K -> VectorGgmlDecode::q3K;
      case Q4_K -> VectorGgmlDecode::q4K;
      case Q5_K -> VectorGgmlDecode::q5K;
      case Q6_K -> VectorGgmlDecode::q6K;
      case IQ4_NL -> LANES == 16 ? VectorGgmlDecode::iq4Nl : scalar;
      case IQ4_XS -> LANES == 16 ? VectorGgmlDecode::iq4Xs : scalar;
      case MXFP4 -> LANES == 16 ? VectorGgmlDecode::mxfp4 : scalar;
    };
  }

  private static IntVector load(byte[] blocks, int at) {
    return (IntVector)
        ByteVector.fromArray(BYTES, blocks, at).convertShape(ZERO_EXTEND_B2I, INTS, 0);
  }

  private static FloatVector floats(IntVector q) {
    return (FloatVector) q.convert(I2F, 0);
  }

  private static void q40(byte[] blocks, float[] x, int from, int count) {
    for (int n = 0; n < count / 32; n++) {
      int i = from + n * 32;
      int block = n * 18;
      float d = half(blocks, block);
      for (int j = 0; j < 16; j += LANES) {
        IntVector pair = load(blocks, block + 2 + j);
        floats(pair.lanewise(AND, 15).sub(8)).mul(d).intoArray(x, i + j);
        floats(pair.lanewise(LSHR, 4).sub(8)).mul(d).intoArray(x, i + 16 + j);
      }
    }
  }

  private static void q41(byte[] blocks, float[] x, int from, int count) {
    for (int n = 0; n < count / 32; n++) {
      int i = from + n * 32;
      int block = n * 20;
      float d = half(blocks, block);
      float min = half(blocks, block + 2);
      for (int j = 0; j < 16; j += LANES) {
        IntVector pair = load(blocks, block + 4 + j);
        floats(pair.lanewise(AND, 15)).mul(d).add(min).intoArray(x, i + j);
        floats(pair.lanewise(LSHR, 4)).mul(d).add(min).intoArray(x, i + 16 + j);
      }
    }
  }

  /// Bit `first + lane` of the word, as bit 4 of each lane.
  private static IntVector fifths(int word, int first) {
    IntVector lanes = IntVector.zero(INTS).addIndex(1).add(first);
    return IntVector.broadcast(INTS, word).lanewise(LSHR, lanes).lanewise(AND, 1).lanewise(LSHL, 4);
  }

  private static void q50(byte[] blocks, float[] x, int from, int count) {
    for (int n = 0; n < count / 32; n++) {
      int i = from + n * 32;
      int block = n * 22;
      float d = half(blocks, block);
      int word = int32(blocks, block + 2);
      for (int j = 0; j < 16; j += LANES) {
        IntVector pair = load(blocks, block + 6 + j);
        IntVector low = pair.lanewise(AND, 15).lanewise(OR, fifths(word, j));
        IntVector high = pair.lanewise(LSHR, 4).lanewise(OR, fifths(word, 16 + j));
        floats(low.sub(16)).mul(d).intoArray(x, i + j);
        floats(high.sub(16)).mul(d).intoArray(x, i + 16 + j);
      }
    }
  }

  private static void q51(byte[] blocks, float[] x, int from, int count) {
    for (int n = 0; n < count / 32; n++) {
      int i = from + n * 32;
      int block = n * 24;
      float d = half(blocks, block);
      float min = half(blocks, block + 2);
      int word = int32(blocks, block + 4);
      for (int j = 0; j < 16; j += LANES) {
        IntVector pair = load(blocks, block + 8 + j);
        IntVector low = pair.lanewise(AND, 15).lanewise(OR, fifths(word, j));
        IntVector high = pair.lanewise(LSHR, 4).lanewise(OR, fifths(word, 16 + j));
        floats(low).mul(d).add(min).intoArray(x, i + j);
        floats(high).mul(d).add(min).intoArray(x, i + 16 + j);
      }
    }
  }

  private static void q80(byte[] blocks, float[] x, int from, int count) {
    for (int n = 0; n < count / 32; n++) {
      int i = from + n * 32;
      int block = n * 34;
      float d = half(blocks, block);
      signed(blocks, block + 2, d, x, i);
      signed(blocks, block + 18, d, x, i + 16);
    }
  }

  /// 16 bytes, times a scale.
  private static void signed(byte[] blocks, int codes, float d, float[] x, int i) {
    for (int j = 0; j < 16; j += LANES) {
      ByteVector bytes = ByteVector.fromArray(BYTES, blocks, codes + j);
      floats((IntVector) bytes.convertShape(B2I, INTS, 0)).mul(d).intoArray(x, i + j);
    }
  }

  private static void q2K(byte[] blocks, float[] x, int from, int count) {
    for (int n = 0; n < count / 256; n++) {
      int i = from + n * 256;
      int block = n * 84;
      float d = half(blocks, block + 80);
      float dMin = half(blocks, block + 82);
      for (int part = 0; part < 4; part++) {
        // 16 bytes hold the codes of four groups.
        int first = part / 2 * 8 + part % 2;
        int out = i + part / 2 * 128 + part % 2 * 16;
        for (int j = 0; j < 16; j += LANES) {
          IntVector quad = load(blocks, block + 16 + part * 16 + j);
          for (int s = 0; s < 4; s++) {
            int both = unsigned(blocks, block + first + 2 * s);
            floats(quad.lanewise(LSHR, 2 * s).lanewise(AND, 3))
                .mul(d * (both & 15))
                .sub(dMin * (both >> 4))
                .intoArray(x, out + 32 * s + j);
          }
        }
      }
    }
  }

  private static void q3K(byte[] blocks, float[] x, int from, int count) {
    for (int n = 0; n < count / 256; n++) {
      int i = from + n * 256;
      int block = n * 110;
      float d = half(blocks, block + 108);
      long low = int64(blocks, block + 96);
      int high = int32(blocks, block + 104);
      for (int part = 0; part < 4; part++) {
        int first = part / 2 * 8 + part % 2;
        int out = i + part / 2 * 128 + part % 2 * 16;
        for (int j = 0; j < 16; j += LANES) {
          IntVector quad = load(blocks, block + 32 + part * 16 + j);
          IntVector thirds = load(blocks, block + part % 2 * 16 + j);
          for (int s = 0; s < 4; s++) {
            int group = first + 2 * s;
            int nibble = (int) (low >>> (group % 8 * 8 + group / 8 * 4)) & 15;
            int pair = (high >>> (group % 4 * 8 + group / 4 * 2)) & 3;
            IntVector third =
                thirds.lanewise(LSHR, part / 2 * 4 + s).lanewise(AND, 1).lanewise(LSHL, 2);
            IntVector q = quad.lanewise(LSHR, 2 * s).lanewise(AND, 3).lanewise(OR, third).sub(4);
            floats(q).mul(d * ((nibble | (pair << 4)) - 32)).intoArray(x, out + 32 * s + j);
          }
        }
      }
    }
  }

  /// A byte with the scale of each of the 8 groups of Q4_K or Q5_K, from the bytes drawn there.
  private static long scales(long low, int high) {
    int last = (high & 0x0f0f0f0f) | ((int) (low >>> 2) & 0x30303030);
    return (low & 0x3f3f3f3fL) | ((long) last << 32);
  }

  /// Likewise the minima.
  private static long mins(long low, int high) {
    int last = ((high >>> 4) & 0x0f0f0f0f) | ((int) (low >>> 34) & 0x30303030);
    return ((low >>> 32) & 0x3f3f3f3fL) | ((long) last << 32);
  }

  private static int byteOf(long bytes, int index) {
    return (int) (bytes >>> (8 * index)) & 255;
  }

  private static void q4K(byte[] blocks, float[] x, int from, int count) {
    for (int n = 0; n < count / 256; n++) {
      int i = from + n * 256;
      int block = n * 144;
      float d = half(blocks, block);
      float dMin = half(blocks, block + 2);
      long scales = scales(int64(blocks, block + 4), int32(blocks, block + 12));
      long mins = mins(int64(blocks, block + 4), int32(blocks, block + 12));
      for (int pair = 0; pair < 4; pair++) {
        float scale0 = d * byteOf(scales, 2 * pair);
        float min0 = dMin * byteOf(mins, 2 * pair);
        float scale1 = d * byteOf(scales, 2 * pair + 1);
        float min1 = dMin * byteOf(mins, 2 * pair + 1);
        int codes = block + 16 + pair * 32;
        int out = i + pair * 64;
        nibbles(blocks, codes, scale0, min0, scale1, min1, x, out);
        nibbles(blocks, codes + 16, scale0, min0, scale1, min1, x, out + 16);
      }
    }
  }

  /// 16 bytes with codes of two groups.
  private static void nibbles(
      byte[] blocks,
      int codes,
      float scale0,
      float min0,
      float scale1,
      float min1,
      float[] x,
      int i) {
    for (int j = 0; j < 16; j += LANES) {
      IntVector both = load(blocks, codes + j);
      floats(both.lanewise(AND, 15)).mul(scale0).sub(min0).intoArray(x, i + j);
      floats(both.lanewise(LSHR, 4)).mul(scale1).sub(min1).intoArray(x, i + 32 + j);
    }
  }

  private static void q5K(byte[] blocks, float[] x, int from, int count) {
    for (int n = 0; n < count / 256; n++) {
      int i = from + n * 256;
      int block = n * 176;
      float d = half(blocks, block);
      float dMin = half(blocks, block + 2);
      long scales = scales(int64(blocks, block + 4), int32(blocks, block + 12));
      long mins = mins(int64(blocks, block + 4), int32(blocks, block + 12));
      for (int pair = 0; pair < 4; pair++) {
        float scale0 = d * byteOf(scales, 2 * pair);
        float min0 = dMin * byteOf(mins, 2 * pair);
        float scale1 = d * byteOf(scales, 2 * pair + 1);
        float min1 = dMin * byteOf(mins, 2 * pair + 1);
        int out = i + pair * 64;
        for (int j = 0; j < 32; j += LANES) {
          IntVector both = load(blocks, block + 48 + pair * 32 + j);
          IntVector fifths = load(blocks, block + 16 + j).lanewise(LSHR, 2 * pair);
          IntVector fifth0 = fifths.lanewise(AND, 1).lanewise(LSHL, 4);
          IntVector fifth1 = fifths.lanewise(AND, 2).lanewise(LSHL, 3);
          IntVector q0 = both.lanewise(AND, 15).lanewise(OR, fifth0);
          IntVector q1 = both.lanewise(LSHR, 4).lanewise(OR, fifth1);
          floats(q0).mul(scale0).sub(min0).intoArray(x, out + j);
          floats(q1).mul(scale1).sub(min1).intoArray(x, out + 32 + j);
        }
      }
    }
  }

  private static void q6K(byte[] blocks, float[] x, int from, int count) {
    for (int n = 0; n < count / 256; n++) {
      int i = from + n * 256;
      int block = n * 210;
      float d = half(blocks, block + 208);
      for (int part = 0; part < 4; part++) {
        // Four groups of 16: 16 bytes of two bits each, two times 16 bytes of nibbles.
        int l = part % 2 * 16;
        int nibbles = block + part / 2 * 64 + l;
        int scales = block + 192 + part / 2 * 8 + part % 2;
        float scale0 = d * blocks[scales];
        float scale1 = d * blocks[scales + 2];
        float scale2 = d * blocks[scales + 4];
        float scale3 = d * blocks[scales + 6];
        int out = i + part / 2 * 128 + l;
        int pairs = block + 128 + part / 2 * 32 + l;
        for (int j = 0; j < 16; j += LANES) {
          IntVector high = load(blocks, pairs + j);
          IntVector first = load(blocks, nibbles + j);
          IntVector second = load(blocks, nibbles + 32 + j);
          IntVector high0 = high.lanewise(AND, 3).lanewise(LSHL, 4);
          IntVector high1 = high.lanewise(AND, 12).lanewise(LSHL, 2);
          IntVector high2 = high.lanewise(AND, 48);
          IntVector high3 = high.lanewise(LSHR, 2).lanewise(AND, 48);
          sixBits(first.lanewise(AND, 15), high0, scale0, x, out + j);
          sixBits(second.lanewise(AND, 15), high1, scale1, x, out + 32 + j);
          sixBits(first.lanewise(LSHR, 4), high2, scale2, x, out + 64 + j);
          sixBits(second.lanewise(LSHR, 4), high3, scale3, x, out + 96 + j);
        }
      }
    }
  }

  private static void sixBits(IntVector low, IntVector high, float scale, float[] x, int i) {
    floats(low.lanewise(OR, high).sub(32)).mul(scale).intoArray(x, i);
  }

  /// Looks 32 codes up and multiplies them.
  private static void lookUp(
      byte[] blocks, int codes, IntVector table, float factor, float[] x, int i) {
    IntVector pair = load(blocks, codes);
    IntVector low = pair.lanewise(AND, 15).selectFrom(table);
    IntVector high = pair.lanewise(LSHR, 4).selectFrom(table);
    low.reinterpretAsFloats().mul(factor).intoArray(x, i);
    high.reinterpretAsFloats().mul(factor).intoArray(x, i + 16);
  }

  private static void iq4Nl(byte[] blocks, float[] x, int from, int count) {
    IntVector table = FloatVector.fromArray(FLOATS, Iq4Table.values(), 0).reinterpretAsInts();
    for (int n = 0; n < count / 32; n++) {
      int i = from + n * 32;
      int block = n * 18;
      lookUp(blocks, block + 2, table, half(blocks, block), x, i);
    }
  }

  private static void iq4Xs(byte[] blocks, float[] x, int from, int count) {
    IntVector table = FloatVector.fromArray(FLOATS, Iq4Table.values(), 0).reinterpretAsInts();
    for (int n = 0; n < count / 256; n++) {
      int i = from + n * 256;
      int block = n * 136;
      float d = half(blocks, block);
      int high = int16(blocks, block + 2);
      int low = int32(blocks, block + 4);
      for (int group = 0; group < 8; group++) {
        int scale = ((low >> (4 * group)) & 15) | (((high >> (2 * group)) & 3) << 4);
        int codes = block + 8 + 16 * group;
        lookUp(blocks, codes, table, d * (scale - 32), x, i + 32 * group);
      }
    }
  }

  private static void mxfp4(byte[] blocks, float[] x, int from, int count) {
    IntVector table = FloatVector.fromArray(FLOATS, E2m1.doubledValues(), 0).reinterpretAsInts();
    for (int n = 0; n < count / 32; n++) {
      int i = from + n * 32;
      int block = n * 17;
      lookUp(blocks, block + 1, table, E2m1.halfScale(unsigned(blocks, block)), x, i);
    }
  }
}
