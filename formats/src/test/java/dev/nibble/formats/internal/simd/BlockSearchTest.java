package dev.nibble.formats.internal.simd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.nibble.formats.internal.simd.BlockSearch.Trials;
import dev.nibble.formats.internal.simd.SearchGroups.Weighting;
import java.util.Random;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// The vector search against its scalar twin: equal codes, scales and minima, bit for bit.
final class BlockSearchTest {
  private static final int ROUNDS = 60;

  private final BlockSearch scalar = new ScalarBlockSearch();

  @BeforeEach
  void needsVectors() {
    assumeTrue(Simd.isVector(), "no vectors here, or not wanted");
  }

  /// Groups of numbers of different kinds, with weights.
  private static SearchGroups groups(Random random, int size, int count) {
    float[] x = new float[size * count + 3];
    SearchGroups groups = new SearchGroups(size, count).at(x, 3, count);
    for (int group = 0; group < count; group++) {
      int kind = random.nextInt(5);
      float scale = (float) Math.exp(random.nextGaussian() * 10);
      for (int i = 0; i < size; i++) {
        float value = (float) random.nextGaussian();
        x[3 + group * size + i] =
            switch (kind) {
              case 0 -> value * scale;
              case 1 -> (random.nextInt(41) - 20) * 0.5f;
              case 2 -> random.nextInt(8) == 0 ? value * scale : 0;
              case 3 -> -Math.abs(value) * scale;
              default -> scale;
            };
        groups.weights[group * size + i] = random.nextInt(9) == 0 ? 0 : random.nextFloat();
      }
    }
    return groups;
  }

  private void assertAgree(int size, BiConsumer<BlockSearch, SearchGroups> search) {
    for (int round = 0; round < ROUNDS; round++) {
      int count = 1 + new Random(round).nextInt(40);
      SearchGroups expected = groups(new Random(round), size, count);
      SearchGroups actual = groups(new Random(round), size, count);
      search.accept(scalar, expected);
      search.accept(new VectorBlockSearch(), actual);
      String at = "size " + size + " round " + round;
      assertArrayEquals(expected.codes, actual.codes, at);
      assertArrayEquals(canonical(expected.scales), canonical(actual.scales), at);
      assertArrayEquals(canonical(expected.mins), canonical(actual.mins), at);
      assertArrayEquals(canonical(expected.weightSums), canonical(actual.weightSums), at);
    }
  }

  private static int[] canonical(float[] x) {
    int[] bits = new int[x.length];
    for (int i = 0; i < x.length; i++) {
      bits[i] = Float.floatToIntBits(x[i]);
    }
    return bits;
  }

  @Test
  void scaleAndMin() {
    for (Weighting weighting : Weighting.values()) {
      for (boolean absolute : new boolean[] {false, true}) {
        Trials trials = new Trials(15, -0.9f, 0.05f, 36, absolute, weighting);
        assertAgree(32, (search, groups) -> search.scaleAndMin(groups, trials));
        Trials few = new Trials(3, -0.5f, 0.1f, 15, absolute, weighting);
        assertAgree(16, (search, groups) -> search.scaleAndMin(groups, few));
      }
    }
  }

  @Test
  void symmetric() {
    for (Weighting weighting : Weighting.values()) {
      assertAgree(16, (search, groups) -> search.symmetric(groups, 32, weighting));
      assertAgree(32, (search, groups) -> search.symmetric(groups, 8, weighting));
    }
  }

  @Test
  void descent() {
    assertAgree(16, (search, groups) -> search.descent(groups, 4));
  }

  @Test
  void table() {
    for (Weighting weighting : Weighting.values()) {
      assertAgree(32, (search, groups) -> search.table(groups, weighting));
    }
  }

  @Test
  void codesForGivenScales() {
    assertAgree(
        32,
        (search, groups) -> {
          Random random = new Random(groups.count());
          float[] scales = new float[groups.count()];
          float[] mins = new float[groups.count()];
          for (int i = 0; i < scales.length; i++) {
            float[] special = {0, Float.NaN, Float.POSITIVE_INFINITY, 1e-40f, 1e30f};
            int kind = random.nextInt(12);
            scales[i] = kind < special.length ? special[kind] : (float) random.nextGaussian();
            mins[i] = random.nextInt(4) == 0 ? Float.POSITIVE_INFINITY : random.nextFloat();
          }
          search.requantize(groups, scales, mins, -4, 3);
          byte[] first = groups.codes.clone();
          for (int i = 0; i < scales.length; i++) {
            // Reciprocals are never infinite.
            scales[i] = Float.isInfinite(scales[i]) ? 1 : scales[i];
          }
          search.tableCodes(groups, scales);
          for (int i = 0; i < first.length; i++) {
            groups.codes[i] = (byte) (groups.codes[i] << 4 | first[i]);
          }
        });
  }

  @Test
  void weights() {
    assertAgree(
        32,
        (search, groups) -> {
          float[] importance = groups.weights.clone();
          int count = groups.count() * 32;
          search.weigh(groups.x, 3, count, importance, 0, 0.25f, groups.weights, 0);
          search.scaleAndMin(groups, new Trials(31, -0.9f, 0.05f, 3, false, Weighting.GIVEN));
        });
  }

  /// The rule as ggml puts it: the nearer of two neighbours, the upper one of equally near.
  @Test
  void tableTakesTheNearestValue() {
    Random random = new Random(1);
    for (int round = 0; round < 400_000; round++) {
      int low = random.nextInt(15);
      float middle = (Iq4Table.value(low) + Iq4Table.value(low + 1)) / 2;
      float x = round % 2 == 0 ? random.nextFloat() * 300 - 150 : middle;
      for (int step = round % 7 - 3; step != 0; step -= Integer.signum(step)) {
        x = step > 0 ? Math.nextUp(x) : Math.nextDown(x);
      }
      assertEquals(literalNearest(x), Iq4Table.nearest(x), "x " + x);
    }
  }

  private static int literalNearest(float x) {
    if (x <= Iq4Table.value(0)) {
      return 0;
    }
    for (int upper = 1; upper < 16; upper++) {
      float below = Iq4Table.value(upper - 1);
      float above = Iq4Table.value(upper);
      if (x < above) {
        return x - below < above - x ? upper - 1 : upper;
      }
    }
    return 15;
  }
}
