package dev.nibble.converter.algorithm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.quant.ActivationType;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// On a layer with six inputs that are 25 times as large as the others.
class SmoothingTest {
  private static final SearchOptions OPTIONS = SearchOptions.DEFAULT;

  @Test
  void scalesAreThoseOfThePaper() {
    float[] scales = Smoothing.scales(new float[] {16, 4, 0}, new float[] {4, 1, 0}, 0.5);
    assertArrayEquals(new float[] {2, 2, 1}, scales, 1e-6f);
    assertEquals(64 / 2.0, Smoothing.scales(new float[] {256}, new float[] {16}, 0.75)[0], 1e-5);
  }

  @ParameterizedTest
  @CsvSource({"INT8, absmax8", "FP8_E4M3, fp8:row"})
  void eightBitInputsLoseLess(ActivationType type, String scheme) {
    CalibratedLayer layer = AwqGolden.layer(scheme, false);
    ScaleChoice choice = Smoothing.search(List.of(layer), Optional.of(type), OPTIONS);
    assertTrue(choice.helps(), choice.loss() + " of " + choice.plainLoss());
    // Whole numbers can't hold outliers, floats can.
    double gain = type == ActivationType.INT8 ? 0.25 : 1;
    assertTrue(choice.loss() < gain * choice.plainLoss());
    float[] ones = new float[AwqGolden.COLUMNS];
    Arrays.fill(ones, 1);
    assertEquals(loss(layer, type, ones), choice.plainLoss(), 1e-3 * choice.plainLoss());
    assertEquals(loss(layer, type, choice.scales()), choice.loss(), 1e-3 * choice.loss());
  }

  @ParameterizedTest
  @ValueSource(strings = {"nf4", "int4:g64"})
  void weightsAloneLoseLess(String scheme) {
    CalibratedLayer layer = AwqGolden.layer(scheme, true);
    ScaleChoice choice = Smoothing.search(List.of(layer), Optional.empty(), OPTIONS);
    assertTrue(choice.helps(), choice.loss() + " of " + choice.plainLoss());
    assertEquals(20, choice.losses().length);
  }

  /// `mean((X̂·Ŵᵀ − X·Wᵀ)²)` by its definition, int8 rounded here by hand.
  private static double loss(CalibratedLayer layer, ActivationType type, float[] scales) {
    int in = AwqGolden.COLUMNS;
    float[] x = AwqGolden.TOKENS.clone();
    float[] w = AwqGolden.WEIGHT.clone();
    for (int i = 0; i < x.length; i++) {
      x[i] /= scales[i % in];
    }
    for (int i = 0; i < w.length; i++) {
      w[i] *= scales[i % in];
    }
    round(layer, type, x);
    round(layer, type, w);
    double sum = 0;
    for (int t = 0; t < x.length; t += in) {
      for (int row = 0; row < w.length; row += in) {
        double error = 0;
        for (int j = 0; j < in; j++) {
          error +=
              (double) x[t + j] * w[row + j]
                  - (double) AwqGolden.TOKENS[t + j] * AwqGolden.WEIGHT[row + j];
        }
        sum += error * error;
      }
    }
    return sum / ((double) x.length / in * ((double) w.length / in));
  }

  private static void round(CalibratedLayer layer, ActivationType type, float[] values) {
    int in = AwqGolden.COLUMNS;
    if (type == ActivationType.FP8_E4M3) {
      RoundTrip.apply(layer.scheme(), values.length / in, in, values);
      return;
    }
    for (int row = 0; row < values.length; row += in) {
      float absmax = 0;
      for (int j = 0; j < in; j++) {
        absmax = Math.max(absmax, Math.abs(values[row + j]));
      }
      float scale = absmax / 127;
      for (int j = 0; j < in; j++) {
        values[row + j] = (float) Math.rint(values[row + j] / scale) * scale;
      }
    }
  }
}
