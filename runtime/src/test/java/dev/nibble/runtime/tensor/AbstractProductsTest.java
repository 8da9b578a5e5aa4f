package dev.nibble.runtime.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.nibble.formats.DType;
import dev.nibble.formats.quant.QuantSchemes;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Products with weights, and attention.
abstract class AbstractProductsTest extends AbstractStatisticsOpsTest {
  // ---- products

  @ParameterizedTest
  @CsvSource({
    "1,1,1",
    "1,192,256",
    "2,7,300",
    "3,5,7",
    "4,64,64",
    "5,6,7",
    "15,50,65",
    "17,13,129",
    "32,192,192",
    "33,97,65",
    "48,24,33",
    "64,192,192",
    "64,512,192",
    "65,192,512",
    "129,31,1300",
    "200,50,700",
    "80,20,3"
  })
  void linear(int rows, int out, int in) {
    float[] w = sides.random(out * in);
    sides.expect(
        2e-6 * in,
        side ->
            side.ops()
                .linear(
                    side.random(2, rows, 1, in),
                    side.dense(w, DType.F32, out, in),
                    Optional.of(side.random(3, out))));
    sides.expect(
        2e-6 * in,
        side ->
            side.ops()
                .linear(
                    side.random(4, rows, in).rows(rows / 2, rows),
                    side.dense(w, DType.F32, out, in),
                    Optional.empty()));
  }

  @Test
  void linearOfTheSameInputTwiceAndOfItsSuccessorInMemory() {
    float[] first = sides.random(70 * 40);
    float[] second = sides.random(30 * 40);
    for (int seed = 1; seed < 4; seed++) {
      int s = seed;
      sides.expect(
          1e-4,
          side -> {
            try (Region region = side.ops().region()) {
              Tensor x = side.random(s, 20, 40);
              Tensor a =
                  side.ops().linear(x, side.dense(first, DType.F32, 70, 40), Optional.empty());
              Tensor b =
                  side.ops().linear(x, side.dense(second, DType.F32, 30, 40), Optional.empty());
              return region.keep(side.ops().concat(1, List.of(a, b)));
            }
          });
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"F32", "F16", "BF16"})
  void linearOfEveryType(DType type) {
    float[] w = sides.random(45 * 130);
    for (int rows : new int[] {1, 40}) {
      sides.expect(
          1e-4,
          side ->
              side.ops()
                  .linear(
                      side.random(1, rows, 130), side.dense(w, type, 45, 130), Optional.empty()));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "nf4",
        "nf4:plain",
        "nf4:128",
        "nf4:4096",
        "fp4",
        "fp4:256:plain",
        "int8",
        "absmax8",
        "absmax8:48",
        "affine8",
        "affine8:64",
        "bnb8-dynamic",
        "bnb8-dynamic:256",
        "int4:g32",
        "int4:row:asym:bf16",
        "int8:g64:asym",
        "fp8",
        "fp8-e5m2:row"
      })
  void linearOfEveryScheme(String scheme) {
    // Rows of 96 begin in the middle of blocks, those of 192 at their edges; of 33 between bytes.
    for (int in : new int[] {96, 192, 33, 520}) {
      float[] w = sides.random(100 * in);
      for (int rows : new int[] {1, 40}) {
        sides.expect(
            2e-6 * in,
            side ->
                side.ops()
                    .linear(
                        side.random(1, rows, in),
                        side.quantized(w, QuantSchemes.parse(scheme), 100, in),
                        Optional.empty()));
      }
    }
  }

  @Test
  void embedding() {
    float[] w = sides.random(50 * 33);
    int[] ids = {0, 49, 7, 7};
    for (DType type : List.of(DType.F32, DType.BF16)) {
      sides.expect(0, side -> side.ops().embedding(side.dense(w, type, 50, 33), ids));
    }
    sides.expect(
        0, side -> side.ops().embedding(side.quantized(w, QuantSchemes.parse("nf4"), 50, 33), ids));
  }

  @ParameterizedTest
  @CsvSource({
    "1,1,1,1,1",
    "1,8,8,32,32",
    "2,7,5,3,17",
    "1,5,9,16,50",
    "1,16,16,64,24",
    "1,70,3,5,7",
    "1,33,1,3,65"
  })
  void conv2d(int batch, int height, int width, int in, int out) {
    List<Conv2d> geometries =
        List.of(
            Conv2d.SAME_3X3,
            Conv2d.POINTWISE,
            new Conv2d(3, 2, 0, 0, 1, 1),
            new Conv2d(2, 2, 0, 0, 1, 1),
            new Conv2d(3, 1, 2, 0, 0, 3));
    for (Conv2d geometry : geometries) {
      if (geometry.outHeight(height) < 1 || geometry.outWidth(width) < 1) {
        continue;
      }
      int patch = geometry.kernel() * geometry.kernel() * in;
      float[] w = sides.random(out * patch);
      sides.expect(
          2e-6 * patch,
          side ->
              side.ops()
                  .conv2d(
                      side.random(1, batch, height, width, in),
                      side.dense(w, DType.F32, out, patch),
                      Optional.of(side.random(2, out)),
                      geometry));
    }
  }

  // ---- attention

  @ParameterizedTest
  @CsvSource({
    "1,1,1,1,1,1,1", "1,32,32,3,3,64,64", "2,64,64,3,3,64,64", "1,17,100,4,2,40,40",
    "1,65,33,2,1,7,9", "1,130,200,2,2,16,24", "1,600,97,1,1,8,8", "1,3,0,1,1,4,4"
  })
  void attention(int batch, int queries, int keys, int heads, int keyHeads, int dim, int valueDim) {
    sides.expect(
        2e-5,
        side ->
            side.ops()
                .attention(
                    side.random(1, batch, queries, heads, dim),
                    side.random(2, batch, keys, keyHeads, dim),
                    side.random(3, batch, keys, keyHeads, valueDim),
                    AttentionOptions.DEFAULT));
  }

  @ParameterizedTest
  @CsvSource({"5,5", "4,7", "7,4", "130,130", "100,230", "230,100"})
  void attentionWithEveryBias(int queries, int keys) {
    List<AttentionBias> biases =
        List.of(
            new AttentionBias.None(),
            new AttentionBias.LowerTriangular(),
            new AttentionBias.LowerTriangularFromBottomRight(),
            new AttentionBias.LocalFromBottomRight(1, 2),
            new AttentionBias.LocalFromBottomRight(40, 0),
            new AttentionBias.LocalFromBottomRight(Integer.MAX_VALUE, Integer.MAX_VALUE),
            new AttentionBias.BlockDiagonal(
                List.of(1, 0, queries - 2, 1), List.of(0, 1, keys - 3, 2)),
            new AttentionBias.KeyLengths(List.of(keys - 1)),
            new AttentionBias.KeyLengths(List.of(0)));
    for (AttentionBias bias : biases) {
      sides.expect(
          2e-5, side -> attend(side, queries, keys, AttentionOptions.DEFAULT.withBias(bias)));
    }
    sides.expect(
        2e-5,
        side ->
            attend(
                side,
                queries,
                keys,
                new AttentionOptions(
                    Optional.of(0.7f),
                    new AttentionBias.Dense(side.random(9, 1, 4, queries, keys)),
                    0)));
  }

  private static Tensor attend(
      OpsSides.Side side, int queries, int keys, AttentionOptions options) {
    return side.ops()
        .attention(
            side.random(1, 1, queries, 4, 12),
            side.random(2, 1, keys, 2, 12),
            side.random(3, 1, keys, 2, 12),
            options);
  }

  @Test
  void attentionWithKeyLengthsOfABatch() {
    AttentionOptions options =
        AttentionOptions.DEFAULT.withBias(new AttentionBias.KeyLengths(List.of(9, 0, 3)));
    sides.expect(
        2e-5,
        side ->
            side.ops()
                .attention(
                    side.random(1, 3, 10, 2, 8),
                    side.random(2, 3, 9, 2, 8),
                    side.random(3, 3, 9, 2, 8),
                    options));
  }

  /// The tables in the documentation of xFormers' `LocalAttentionFromBottomRightMask`.
  @ParameterizedTest
  @CsvSource({"4,1110 1111 0111 0011", "5,11110 01111 00111 00011"})
  void localWindowsAreThoseOfXformers(int keys, String rows) {
    float[] eye = new float[keys * keys];
    for (int i = 0; i < keys; i++) {
      eye[i * keys + i] = 1;
    }
    Ops ops = sides.tested().ops();
    float[] weights =
        ops.toHost(
            ops.attention(
                sides.tested().random(1, 1, 4, 1, 8),
                sides.tested().random(2, 1, keys, 1, 8),
                ops.fromHost(eye, 1, keys, 1, keys),
                AttentionOptions.DEFAULT.withBias(new AttentionBias.LocalFromBottomRight(1, 2))));
    StringBuilder seen = new StringBuilder();
    for (int i = 0; i < weights.length; i++) {
      seen.append(i > 0 && i % keys == 0 ? " " : "").append(weights[i] > 0 ? 1 : 0);
    }
    assertEquals(rows, seen.toString());
  }

  @Test
  void attentionOfLargeScores() {
    sides.expect(
        2e-4,
        side -> {
          Tensor q = side.ops().affine(side.random(1, 1, 40, 1, 16), 40, 0);
          return side.ops().attention(q, q, side.random(2, 1, 40, 1, 5), AttentionOptions.DEFAULT);
        });
  }
}
