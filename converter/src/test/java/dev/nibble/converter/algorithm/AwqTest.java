package dev.nibble.converter.algorithm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class AwqTest {
  private static final SearchOptions OPTIONS = SearchOptions.DEFAULT;

  @ParameterizedTest
  @CsvSource({"duo, true, true", "duo, true, false", "act_only, false, true"})
  void losesWhatAutoAwqLoses(String key, boolean duo, boolean withHessian) {
    JsonNode golden = AwqGolden.golden("awq_manifest.json", key);
    CalibratedLayer layer = AwqGolden.layer("int4:g128:asym:f32", withHessian);
    ScaleChoice choice = Awq.search(List.of(layer), duo, OPTIONS);
    for (int i = 0; i < Awq.RATIOS; i++) {
      double expected = golden.get("losses_of_20_alphas").get(i).asDouble();
      assertEquals(expected, choice.losses()[i], 1e-3 * expected, "ratio " + i);
    }
    double plain = golden.get("output_mse_rtn_same_grid").asDouble();
    assertEquals(plain, choice.plainLoss(), 1e-3 * plain);
    assertEquals(golden.get("best_alpha").asDouble(), choice.ratio());
    assertTrue(choice.helps());
    float[] expected = AwqGolden.values("awq.quant.safetensors", key + ".search.scale");
    for (int j = 0; j < expected.length; j++) {
      assertEquals(expected[j], choice.scales()[j], 1e-4 * expected[j], "channel " + j);
    }
    double packed = golden.get("output_mse_awq_packed").asDouble();
    assertEquals(packed, error("int4:g128:asym", choice.scales()), 0.02 * packed);
  }

  /// Mean squared error of the outputs, by their definition.
  private static double error(String scheme, float[] scales) {
    int in = AwqGolden.COLUMNS;
    CalibratedLayer layer = AwqGolden.layer(scheme, false);
    float[] error = SampledRows.of(layer, AwqGolden.ROWS).error(scales);
    double sum = 0;
    int outputs = 0;
    for (int t = 0; t < AwqGolden.TOKENS.length; t += in) {
      for (int row = 0; row < error.length; row += in) {
        double output = 0;
        for (int j = 0; j < in; j++) {
          output += (double) AwqGolden.TOKENS[t + j] * error[row + j];
        }
        sum += output * output;
        outputs++;
      }
    }
    return sum / outputs;
  }

  @ParameterizedTest
  @ValueSource(strings = {"nf4", "nf4:plain", "int4:g32", "int4:row:asym", "int8", "gguf:q4_k"})
  void everySchemeLosesLessAndWhatItSays(String scheme) {
    ScaleChoice choice = Awq.search(List.of(AwqGolden.layer(scheme, true)), true, OPTIONS);
    assertTrue(choice.helps(), choice.loss() + " of " + choice.plainLoss());
    assertEquals(error(scheme, choice.scales()), choice.loss(), 1e-3 * choice.loss());
  }

  @Test
  void threadsChangeNothing() {
    List<CalibratedLayer> layers = List.of(AwqGolden.layer("nf4", true));
    ScaleChoice one = Awq.search(layers, true, new SearchOptions(100, 1));
    ScaleChoice three = Awq.search(layers, true, new SearchOptions(100, 3));
    assertArrayEquals(one.losses(), three.losses());
    assertArrayEquals(one.scales(), three.scales());
  }

  @Test
  void someRowsSpeakForAll() {
    List<CalibratedLayer> layers = List.of(AwqGolden.layer("nf4", true));
    ScaleChoice all = Awq.search(layers, true, OPTIONS);
    ScaleChoice half = Awq.search(layers, true, new SearchOptions(64, 2));
    assertEquals(all.ratio(), half.ratio(), 0.1);
    assertEquals(all.loss(), half.loss(), 0.2 * all.loss());
  }

  /// The loss of layers together is the mean over all their rows.
  @Test
  void layersOfOneInputShareScales() {
    TokenInput input = new TokenInput("q", AwqGolden.TOKENS, AwqGolden.COLUMNS, true);
    float[] half = Arrays.copyOf(AwqGolden.WEIGHT, AwqGolden.WEIGHT.length / 2);
    float[] rest = Arrays.copyOfRange(AwqGolden.WEIGHT, half.length, AwqGolden.WEIGHT.length);
    String scheme = "int4:g128:asym:f32";
    ScaleChoice split =
        Awq.search(
            List.of(
                AwqGolden.layer("q", half, scheme, input),
                AwqGolden.layer("k", rest, scheme, input)),
            true,
            OPTIONS);
    ScaleChoice whole = Awq.search(List.of(AwqGolden.layer(scheme, true)), true, OPTIONS);
    assertArrayEquals(whole.losses(), split.losses(), 1e-9);
    assertArrayEquals(whole.scales(), split.scales());
  }

  /// One producer, two inputs: as if all tokens had gone to both layers' rows that saw them.
  @Test
  void inputsThatShareAProducerAreWeighedByTheirTokens() {
    int in = AwqGolden.COLUMNS;
    float[] first = Arrays.copyOf(AwqGolden.TOKENS, 64 * in);
    float[] second = Arrays.copyOfRange(AwqGolden.TOKENS, 64 * in, AwqGolden.TOKENS.length);
    String scheme = "nf4:plain";
    ScaleChoice tied =
        Awq.search(
            List.of(
                AwqGolden.layer(
                    "a", AwqGolden.WEIGHT, scheme, new TokenInput("a", first, in, true)),
                AwqGolden.layer(
                    "b", AwqGolden.WEIGHT, scheme, new TokenInput("b", second, in, false))),
            true,
            OPTIONS);
    ScaleChoice whole = Awq.search(List.of(AwqGolden.layer(scheme, true)), true, OPTIONS);
    assertEquals(whole.ratio(), tied.ratio());
    for (int i = 0; i < Awq.RATIOS; i++) {
      assertEquals(whole.losses()[i], tied.losses()[i], 1e-4 * whole.losses()[i]);
    }
  }

  @Test
  void channelsThatAreNeverUsedGetAScaleNonetheless() {
    int in = 64;
    Random random = new Random(3);
    float[] tokens = new float[32 * in];
    float[] weight = new float[16 * in];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = i % in < 5 ? 0 : (float) random.nextGaussian();
    }
    for (int i = 0; i < weight.length; i++) {
      weight[i] = i % in == 7 ? 0 : (float) random.nextGaussian();
    }
    for (boolean duo : new boolean[] {true, false}) {
      CalibratedLayer layer =
          AwqGolden.layer("fc", weight, "nf4", new TokenInput("fc", tokens, in, true));
      ScaleChoice choice = Awq.search(List.of(layer), duo, OPTIONS);
      for (float scale : choice.scales()) {
        assertTrue(scale > 0 && Float.isFinite(scale), "scale " + scale);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY})
  void statisticsThatAreNotFiniteChooseNothing(float broken) {
    float[] tokens = AwqGolden.TOKENS.clone();
    tokens[1000] = broken;
    ScaleChoice choice =
        Awq.search(
            List.of(
                AwqGolden.layer(
                    "fc",
                    AwqGolden.WEIGHT,
                    "nf4",
                    new TokenInput("fc", tokens, AwqGolden.COLUMNS, true))),
            true,
            OPTIONS);
    assertFalse(choice.helps());
    for (float scale : choice.scales()) {
      assertTrue(scale > 0 && Float.isFinite(scale), "scale " + scale);
    }
  }

  @Test
  void refusesInputsOfOtherWidth() {
    TokenInput narrow = new TokenInput("fc", new float[64], 64, true);
    assertThrows(
        IllegalArgumentException.class,
        () ->
            new CalibratedLayer(
                "fc",
                new TestRows(new float[256], 2, 128),
                AwqGolden.layer("nf4", true).scheme(),
                narrow));
  }
}
