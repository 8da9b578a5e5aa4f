package dev.nibble.runtime.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.nibble.runtime.tensor.OpsSides.Side;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// A backend beside the definition of every operation; here those that calibration records with.
public abstract class AbstractStatisticsOpsTest extends AbstractFusedOpsTest {
  @ParameterizedTest
  @CsvSource({
    "1,1", "5,7", "33,64", "64,65", "3,192", "700,130", "1300,70", "40,300", "2100,20", "17,600"
  })
  void gram(int rows, int in) {
    for (int begin = 0; begin < in; begin += Ops.GRAM_ROWS) {
      int first = begin;
      for (int count : new int[] {1, in - begin}) {
        sides.expect(
            2e-6 * rows,
            side -> {
              Tensor sum = zeros(side, count, in);
              side.ops().addGram(sum, first, side.random(1, rows, 1, in));
              side.ops().addGram(sum, first, side.random(2, rows + 3, in).rows(3, rows + 3));
              return side.ops().fromHost(lower(side, sum, first), count, in);
            });
      }
    }
  }

  private static Tensor zeros(Side side, int rows, int in) {
    return side.ops().fromHost(new float[rows * in], rows, in);
  }

  /// Its elements up to the diagonal, the others 0.
  private static float[] lower(Side side, Tensor sum, int begin) {
    float[] values = side.ops().toHost(sum);
    int in = sum.dim(1);
    for (int i = 0; i < sum.dim(0); i++) {
      for (int j = begin + i + 1; j < in; j++) {
        values[i * in + j] = 0;
      }
    }
    return values;
  }

  @ParameterizedTest
  @CsvSource({"300,700", "90,513", "1030,1024"})
  void gramInPiecesIsTheSameToTheBit(int rows, int in) {
    Side side = sides.tested();
    Tensor x = side.random(1, rows, in);
    Tensor y = side.random(2, rows, in);
    Tensor whole = zeros(side, in, in);
    side.ops().addGram(whole, 0, x);
    side.ops().addGram(whole, 0, y);
    List<Float> pieces = new ArrayList<>();
    for (int begin = 0; begin < in; begin += Ops.GRAM_ROWS) {
      Tensor piece = zeros(side, Math.min(Ops.GRAM_ROWS, in - begin), in);
      side.ops().addGram(piece, begin, x);
      side.ops().addGram(piece, begin, y);
      for (float value : lower(side, piece, begin)) {
        pieces.add(value);
      }
    }
    float[] expected = lower(side, whole, 0);
    float[] found = new float[expected.length];
    for (int i = 0; i < found.length; i++) {
      found[i] = pieces.get(i);
    }
    assertArrayEquals(expected, found);
  }

  @ParameterizedTest
  @CsvSource({"1,1", "5,7", "64,192", "700,130", "1300,64", "3,1000"})
  void featureSums(int rows, int in) {
    sides.expect(1e-6, side -> side.ops().featureSums(side.random(1, rows, in)));
    sides.expect(1e-6, side -> side.ops().featureSums(side.random(2, 2, rows + 1, in).rows(1, 2)));
  }

  @Test
  void gramsOfWrongSizesAreRefused() {
    Side side = sides.tested();
    Tensor x = side.random(1, 4, 300);
    Tensor sum = zeros(side, 44, 300);
    assertThrows(IllegalArgumentException.class, () -> side.ops().addGram(sum, 1, x));
    assertThrows(IllegalArgumentException.class, () -> side.ops().addGram(sum, 512, x));
    assertThrows(
        IllegalArgumentException.class, () -> side.ops().addGram(zeros(side, 300, 299), 0, x));
    side.ops().addGram(sum, 256, x);
  }
}
