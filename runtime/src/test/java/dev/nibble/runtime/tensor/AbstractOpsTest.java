package dev.nibble.runtime.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.DType;
import dev.nibble.formats.quant.ActivationType;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Every operation of a backend against its definition in plain loops, over sizes at and beside the
/// edges of tiles, and over those of real models.
public abstract class AbstractOpsTest extends AbstractProductsTest {
  // ---- norms

  @ParameterizedTest
  @CsvSource({"1,1", "3,7", "64,64", "5,192", "2,1000", "300,65"})
  void rowNorms(int rows, int d) {
    for (Optional<Integer> seed : List.of(Optional.of(5), Optional.<Integer>empty())) {
      sides.expect(
          2e-5,
          side ->
              side.ops()
                  .rmsNorm(side.random(1, 2, rows, d), seed.map(s -> side.random(s, d)), 1e-5f));
    }
    sides.expect(2e-5, side -> side.ops().layerNorm(side.random(1, rows, d), 1e-6f));
    sides.expect(2e-5, side -> side.ops().rowNorm(side.random(1, rows, d)));
    sides.expect(2e-6, side -> side.ops().rowMeanAbs(side.random(1, rows, d)));
  }

  @ParameterizedTest
  @CsvSource({"1,1", "3,7", "64,64", "5,192", "2,3840", "300,65"})
  void fakeQuantRows(int rows, int d) {
    for (ActivationType type : ActivationType.values()) {
      sides.expect(0, side -> side.ops().fakeQuantRows(side.random(1, 2, rows, d), type));
    }
  }

  /// A row of zeros stays, a row is not scaled by its neighbour's largest number, and numbers down
  /// to the denormal ones of the type are there.
  @Test
  void fakeQuantRowsOfUnlikeRows() {
    float[] values = new float[3 * 40];
    for (int i = 0; i < 40; i++) {
      values[i] = (float) Math.scalb(i % 2 == 0 ? 1.0 : -1.5, -i);
      values[80 + i] = 1000f * (i - 20);
    }
    for (ActivationType type : ActivationType.values()) {
      sides.expect(0, side -> side.ops().fakeQuantRows(side.ops().fromHost(values, 3, 40), type));
    }
  }

  @ParameterizedTest
  @CsvSource({"1,1", "3,7", "64,64", "5,192"})
  void scaleInputs(int rows, int d) {
    sides.expect(
        1e-6, side -> side.ops().scaleInputs(side.random(1, 2, rows, d), side.vector(2, d)));
  }

  @ParameterizedTest
  @CsvSource({"1,1,1,4,2", "1,8,8,32,32", "2,5,7,24,3", "1,40,40,64,32"})
  void groupNorm(int batch, int height, int width, int channels, int groups) {
    sides.expect(
        2e-5,
        side ->
            side.ops()
                .groupNorm(
                    side.random(1, batch, height, width, channels),
                    groups,
                    side.random(2, channels),
                    side.random(3, channels),
                    1e-6f));
  }

  // ---- element by element

  @ParameterizedTest
  @EnumSource(Unary.class)
  void unary(Unary function) {
    float[] special = {
      0, -0f, 1e-20f, -1e-5f, 0.6f, 0.7f, -0.625f, 9, -9, 30, -30, 87, -87.4f, 100, -100, 1e4f,
      -1e4f
    };
    sides.expect(
        1e-6, side -> side.ops().unary(function, side.ops().fromHost(special, special.length)));
    for (int size : new int[] {1, 15, 17, 100_003}) {
      sides.expect(
          2e-6,
          side -> side.ops().unary(function, side.ops().affine(side.random(1, size), 12, 0.1f)));
    }
  }

  @ParameterizedTest
  @EnumSource(Binary.class)
  void binary(Binary function) {
    long[][][] shapes = {
      {{1}, {1}},
      {{}, {3}},
      {{5, 7}, {5, 7}},
      {{2, 3, 4}, {4}},
      {{4}, {2, 3, 4}},
      {{2, 3, 4}, {2, 1, 4}},
      {{2, 3, 4}, {2, 3, 1}},
      {{2, 3, 1}, {2, 3, 4}},
      {{2, 3, 1}, {1, 4}},
      {{2, 1, 3, 1, 5}, {1, 4, 3, 2, 1}},
      {{300, 1, 70}, {4, 1}},
      {{70_001}, {}}
    };
    for (long[][] pair : shapes) {
      sides.expect(
          0,
          side -> {
            // Off zero, for quotients.
            Tensor b = side.ops().affine(side.random(2, pair[1]), 0.4f, 1);
            return side.ops().binary(function, side.random(1, pair[0]), b);
          });
    }
  }

  @Test
  void combinations() {
    for (int size : new int[] {1, 1000, 90_001}) {
      sides.expect(0, side -> side.ops().affine(side.random(1, size), 1.7f, -0.3f));
      sides.expect(
          1e-6,
          side ->
              side.ops()
                  .linearCombination(
                      new float[] {0.3f, -2, 1},
                      List.of(side.random(1, size), side.random(2, size), side.random(3, size))));
      float[] coefficients = new float[19];
      Arrays.fill(coefficients, 0.25f);
      sides.expect(
          5e-6,
          side ->
              side.ops()
                  .linearCombination(
                      coefficients,
                      IntStream.range(0, 19).mapToObj(seed -> side.random(seed, size)).toList()));
    }
  }

  @ParameterizedTest
  @EnumSource(RopeTable.Pairs.class)
  void rope(RopeTable.Pairs pairs) {
    for (long[] table : new long[][] {{6, 10}, {2, 6, 10}}) {
      sides.expect(
          1e-6,
          side ->
              side.ops()
                  .rope(
                      side.random(1, 2, 6, 3, 20),
                      new RopeTable(side.random(2, table), side.random(3, table), pairs)));
    }
  }

  // ---- layout

  @Test
  void concatAndSlice() {
    for (int axis = 0; axis < 3; axis++) {
      int a = axis;
      long[] other = {3, 4, 5};
      other[axis] = 2;
      sides.expect(
          0, side -> side.ops().concat(a, List.of(side.random(1, 3, 4, 5), side.random(2, other))));
      sides.expect(0, side -> side.ops().slice(side.random(1, 3, 4, 5), a, 1, 3));
      sides.expect(0, side -> side.ops().slice(side.random(1, 3, 4, 5).rows(1, 3), a, 1, 1));
    }
  }

  @Test
  void permuteAndUpsample() {
    int[][] orders = {{0, 1, 2, 3}, {3, 2, 1, 0}, {0, 2, 1, 3}, {0, 2, 3, 1}, {1, 3, 0, 2}};
    for (int[] axes : orders) {
      sides.expect(0, side -> side.ops().permute(side.random(1, 2, 30, 4, 50), axes));
    }
    sides.expect(0, side -> side.ops().upsampleNearest2x(side.random(1, 2, 3, 40, 5)));
  }

  // ---- numbers

  @ParameterizedTest
  @ValueSource(ints = {1, 5, 4096, 4097, 100_000})
  void reductions(int size) {
    sides.expectNumber(1e-6, side -> (double) side.ops().meanAbs(side.random(1, size)));
    sides.expectNumber(
        1e-6,
        side -> (double) side.ops().meanAbsDifference(side.random(1, size), side.random(2, size)));
    sides.expectNumber(1e-9, side -> side.ops().dot(side.random(1, size), side.random(1, size)));
  }

  // ---- memory

  @Test
  void regionsGiveBackWhatWasNotKept() {
    Ops ops = sides.tested().ops();
    Backend backend = sides.tested().backend();
    long before = backend.openBytes();
    Tensor kept;
    Tensor persisted;
    try (Region outer = ops.region()) {
      try (Region inner = ops.region()) {
        Tensor x = sides.tested().random(1, 100);
        kept = inner.keep(ops.affine(x, 2, 0));
        persisted = ops.persist(ops.affine(x, 4, 0));
      }
      kept = outer.keep(kept);
    }
    assertTrue(backend.openBytes() > before);
    float[] twice = ops.toHost(kept);
    float[] fourfold = ops.toHost(persisted);
    for (int i = 0; i < 100; i++) {
      assertEquals(2 * twice[i], fourfold[i]);
    }
    ops.release(kept);
    ops.release(persisted);
    assertEquals(before, backend.openBytes());
  }

  @Test
  void keepLeavesAloneWhatIsNotTheRegions() {
    Ops ops = sides.tested().ops();
    Tensor mine = sides.tested().random(1, 10);
    Tensor parameter = sides.tested().weights().tensor(new float[] {1, 2}, 2);
    try (Region region = ops.region()) {
      assertEquals(mine, region.keep(mine));
      assertEquals(parameter, region.keep(parameter));
    }
    assertArrayEquals(new float[] {1, 2}, ops.toHost(parameter));
    assertEquals(10, ops.toHost(mine).length);
  }

  @Test
  void resultsDoNotShareMemoryWithOperands() {
    Ops ops = sides.tested().ops();
    float[] host = {1, 2, 3};
    Tensor x = ops.fromHost(host, 3);
    host[0] = 9;
    ops.release(ops.affine(x, 1, 0));
    sides.tested().random(2, 3);
    assertArrayEquals(new float[] {1, 2, 3}, ops.toHost(x));
  }

  @Test
  void wrongShapesAreRefused() {
    Ops ops = sides.tested().ops();
    Tensor a = sides.tested().random(1, 2, 3);
    Tensor b = sides.tested().random(1, 2, 4);
    LinearWeight w = sides.tested().dense(new float[20], DType.F32, 4, 5);
    List<Function<Ops, Object>> wrong =
        List.of(
            o -> o.binary(Binary.ADD, a, b),
            o -> o.linear(a, w, Optional.empty()),
            o -> o.linear(sides.tested().random(1, 5), w, Optional.of(a)),
            o -> o.concat(0, List.of(a, b)),
            o -> o.slice(a, 1, 2, 4),
            o -> o.permute(a, 0, 0),
            o -> o.linearCombination(new float[] {1, 1}, List.of(a, b)),
            o -> o.embedding(w, new int[] {4}),
            o -> o.meanAbsDifference(a, b),
            o -> o.attention(a, a, a, AttentionOptions.DEFAULT),
            o -> o.fromHost(new float[3], 2));
    for (Function<Ops, Object> call : wrong) {
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> call.apply(ops));
      assertTrue(String.valueOf(e.getMessage()).contains(" of "), e.getMessage());
    }
  }
}
