package dev.nibble.formats.internal.simd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;

/// Two codes a byte: what they mean, and the vector kernels against their scalar twins.
class NibbleKernelsTest {
  private static final long SEED = 31;

  private final NibbleKernels scalar = new ScalarNibbles();
  private final NibbleKernels vector = new VectorNibbles();

  @Test
  void theFirstCodeStandsInTheLowBits() {
    for (NibbleKernels kernels : new NibbleKernels[] {scalar, vector}) {
      byte[] packed = new byte[4];
      kernels.pack(new byte[] {1, 15, 8, 0, 7}, 5, MemorySegment.ofArray(packed), 1);
      assertArrayEquals(new byte[] {0, (byte) 0xf1, 0x08, 0x07}, packed);
      float[] out = new float[6];
      kernels.decode(MemorySegment.ofArray(packed), 3, 8, 0.5f, out, 1, 6);
      assertArrayEquals(new float[] {0, 3.5f, 0, -4, -0.5f, -4}, out);
    }
  }

  @Test
  void packingAgrees() {
    Random random = new Random(SEED);
    for (int count = 0; count < 400; count++) {
      byte[] codes = new byte[count];
      for (int i = 0; i < count; i++) {
        codes[i] = (byte) random.nextInt(16);
      }
      byte[] a = new byte[count / 2 + 9];
      byte[] b = new byte[count / 2 + 9];
      scalar.pack(codes, count, MemorySegment.ofArray(a), 3);
      vector.pack(codes, count, MemorySegment.ofArray(b), 3);
      assertArrayEquals(a, b, "count " + count);
    }
  }

  @Test
  void decodingAgreesFromAnyCodeOn() {
    Random random = new Random(SEED);
    byte[] packed = new byte[300];
    random.nextBytes(packed);
    MemorySegment segment = MemorySegment.ofArray(packed);
    for (int round = 0; round < 2_000; round++) {
      int first = random.nextInt(100);
      int from = random.nextInt(40);
      int to = from + random.nextInt(2 * packed.length - first + 1);
      int zero = random.nextInt(round % 2 == 0 ? 16 : 256);
      float scale = (float) Math.exp(random.nextGaussian() * 20);
      float[] a = new float[to + 3];
      float[] b = new float[to + 3];
      scalar.decode(segment, first, zero, scale, a, from, to);
      vector.decode(segment, first, zero, scale, b, from, to);
      assertArrayEquals(a, b, "seed " + SEED + " round " + round);
    }
  }
}
