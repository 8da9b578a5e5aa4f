package dev.nibble.formats.quant.ggml;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.nibble.formats.internal.simd.BlockKind;
import dev.nibble.formats.internal.simd.GgmlKernels;
import dev.nibble.formats.internal.simd.Simd;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// The vector kernels of blocks against their scalar twins, on numbers and bytes of all kinds.
final class GgmlKernelsTest {
  private static final int ROUNDS = 60;

  @BeforeEach
  void needsVectors() {
    assumeTrue(Simd.isVector(), "no vectors here, or not wanted");
  }

  private static GgmlKernels.Decode scalarDecoder(BlockKind kind) {
    return switch (kind) {
      case Q4_0 -> Q40Codec::decodeBlocks;
      case Q4_1 -> Q41Codec::decodeBlocks;
      case Q5_0 -> Q50Codec::decodeBlocks;
      case Q5_1 -> Q51Codec::decodeBlocks;
      case Q8_0 -> Q80Codec::decodeBlocks;
      case Q2_K -> Q2KCodec::decodeBlocks;
      case Q3_K -> Q3KCodec::decodeBlocks;
      case Q4_K -> Q4KCodec::decodeBlocks;
      case Q5_K -> Q5KCodec::decodeBlocks;
      case Q6_K -> Q6KCodec::decodeBlocks;
      case IQ4_NL -> Iq4NlCodec::decodeBlocks;
      case IQ4_XS -> Iq4XsCodec::decodeBlocks;
      case MXFP4 -> Mxfp4Codec::decodeBlocks;
    };
  }

  @ParameterizedTest
  @EnumSource
  void decodersAgree(BlockKind kind) {
    GgmlType type = GgmlType.valueOf(kind.name());
    GgmlKernels.Decode scalar = scalarDecoder(kind);
    GgmlKernels.Decode vector = GgmlKernels.decoder(kind, scalar);
    for (int round = 0; round < ROUNDS; round++) {
      Random random = new Random(round);
      int blocks = 1 + random.nextInt(6);
      int count = blocks * type.blockSize();
      // Any bytes are legal: scales of all kinds are among them.
      byte[] bytes = new byte[blocks * type.blockBytes()];
      random.nextBytes(bytes);
      float[] expected = new float[count + 9];
      float[] actual = new float[count + 9];
      scalar.decode(bytes, expected, 5, count);
      vector.decode(bytes, actual, 5, count);
      assertArrayEquals(canonical(expected), canonical(actual), kind + " round " + round);
    }
  }

  private static int[] canonical(float[] x) {
    int[] bits = new int[x.length];
    for (int i = 0; i < x.length; i++) {
      bits[i] = Float.floatToIntBits(x[i]);
    }
    return bits;
  }

  private static GgmlKernels.Encode scalarEncoder(BlockKind kind) {
    return switch (kind) {
      case Q4_0 -> Q40Codec::encode;
      case Q4_1 -> Q41Codec::encode;
      case Q5_0 -> Q50Codec::encode;
      case Q5_1 -> Q51Codec::encode;
      case Q8_0 -> Q80Codec::encode;
      case MXFP4 -> Mxfp4Codec::encode;
      case Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS ->
          throw new IllegalArgumentException(kind + " is searched for");
    };
  }

  @ParameterizedTest
  @EnumSource(names = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "MXFP4"})
  void encodersAgree(BlockKind kind) {
    GgmlType type = GgmlType.valueOf(kind.name());
    GgmlKernels.Encode scalar = scalarEncoder(kind);
    GgmlKernels.Encode vector = GgmlKernels.encoder(kind, scalar);
    for (int round = 0; round < 20 * ROUNDS; round++) {
      Random random = new Random(round);
      int blocks = 1 + random.nextInt(6);
      int count = blocks * type.blockSize();
      float[] x = new float[count + 9];
      for (int at = 0; at < count; at += type.blockSize()) {
        fill(random, x, 5 + at, type.blockSize());
      }
      byte[] expected = new byte[blocks * type.blockBytes()];
      byte[] actual = expected.clone();
      scalar.encode(x, 5, count, expected);
      vector.encode(x, 5, count, actual);
      assertArrayEquals(expected, actual, kind + " round " + round);
    }
  }

  /// Finite numbers of one kind: ordinary, on a grid with ties, of all bits, subnormal or zero.
  static void fill(Random random, float[] x, int from, int count) {
    int kind = random.nextInt(6);
    float scale = (float) Math.exp(random.nextGaussian() * 12);
    for (int i = from; i < from + count; i++) {
      float value =
          switch (kind) {
            case 0 -> (float) random.nextGaussian() * scale;
            case 1 -> (random.nextInt(61) - 30) * 0.5f;
            case 2 -> Float.intBitsToFloat(random.nextInt());
            case 3 -> Float.intBitsToFloat(random.nextInt() & 0x807fffff);
            case 4 -> random.nextBoolean() ? 0f : random.nextBoolean() ? -0f : scale;
            default -> Math.abs((float) random.nextGaussian()) * scale;
          };
      x[i] = Float.isFinite(value) ? value : 1;
    }
  }
}
