package dev.nibble.converter.algorithm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.model.ModelFamilies;
import dev.nibble.formats.model.ModelFamily;
import dev.nibble.formats.quant.ActivationType;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SensitivityTest {
  private static final ModelFamily Z_IMAGE = ModelFamilies.byId("z-image").orElseThrow();

  private static CalibratedLayer layer(String module, double outlier, String scheme) {
    Random random = new Random(5);
    int in = 256;
    float[] tokens = new float[64 * in];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = (float) (random.nextGaussian() * (i % in == 9 ? outlier : 1));
    }
    float[] weight = new float[128 * in];
    for (int i = 0; i < weight.length; i++) {
      // The layer hardly heeds the large input.
      weight[i] = (float) (random.nextGaussian() * (i % in == 9 ? 1 / outlier : 1));
    }
    return AwqGolden.layer(module, weight, scheme, new TokenInput(module, tokens, in, false));
  }

  /// Two roundings of gaussian numbers: int8 by absmax of some four sigma, E4M3 by three bits.
  @ParameterizedTest
  @CsvSource({"INT8, absmax8, 0.005, 0.02", "FP8_E4M3, fp8:row, 0.03, 0.045"})
  void errorsAreThoseOfTheNumbers(ActivationType type, String scheme, double least, double most) {
    Sensitivity found =
        Sensitivity.measure(List.of(layer("a", 1, scheme)), type, SearchOptions.DEFAULT)
            .layers()
            .getFirst();
    assertTrue(found.plain() > least && found.plain() < most, found.toString());
    assertEquals(Optional.empty(), found.kept(Z_IMAGE, false, Sensitivity.DEFAULT_LIMIT));
  }

  @Test
  void anOutlierIsKeptUnlessSmoothed() {
    CalibratedLayer layer = layer("layers.3.feed_forward.w2", 300, "absmax8");
    Sensitivity.Group group =
        Sensitivity.measure(List.of(layer), ActivationType.INT8, SearchOptions.DEFAULT);
    Sensitivity found = group.layers().getFirst();
    assertTrue(found.plain() > 0.3, found.toString());
    assertTrue(found.smoothed() < 0.02, found.toString());
    assertTrue(
        found.kept(Z_IMAGE, false, 0.05).orElseThrow().endsWith("of its output, more than 5.0 %"));
    assertEquals(Optional.empty(), found.kept(Z_IMAGE, true, 0.05));
    float[] scales = group.smoothing().scales();
    float largest = scales[9];
    scales[9] = 0;
    for (float scale : scales) {
      assertTrue(scale < largest / 10);
    }
  }

  @Test
  void kindsAreKeptWhateverTheyLose() {
    for (String module :
        List.of(
            "layers.2.adaLN_modulation.0",
            "t_embedder.mlp.2",
            "cap_embedder.1",
            "all_x_embedder.2-1",
            "all_final_layer.2-1.linear")) {
      Sensitivity fine = new Sensitivity(module, ActivationType.FP8_E4M3, 0, 0);
      assertTrue(fine.kept(Z_IMAGE, true, 0.05).isPresent(), module);
    }
    for (String module : List.of("noise_refiner.0.attention.to_q", "layers.0.feed_forward.w1")) {
      Sensitivity fine = new Sensitivity(module, ActivationType.FP8_E4M3, 0, 0);
      assertEquals(Optional.empty(), fine.kept(Z_IMAGE, true, 0.05), module);
    }
    ModelFamily qwen = ModelFamilies.byId("qwen-image").orElseThrow();
    Sensitivity modulation =
        new Sensitivity("transformer_blocks.0.img_mod.1", ActivationType.INT8, 0, 0);
    assertEquals(
        "scales and gates of whole blocks", modulation.kept(qwen, true, 0.05).orElseThrow());
  }

  @Test
  void whatCannotBeMeasuredIsKept() {
    Sensitivity broken = new Sensitivity("layers.0.x", ActivationType.INT8, Double.NaN, 0.01);
    assertTrue(broken.kept(Z_IMAGE, false, 0.05).isPresent());
    assertTrue(broken.kept(Z_IMAGE, true, 0.05).isEmpty());
  }

  @Test
  void nothingButZerosLosesNothing() {
    float[] zeros = new float[16 * 64];
    TokenInput input = new TokenInput("a", zeros, 64, false);
    CalibratedLayer layer = AwqGolden.layer("a", Arrays.copyOf(zeros, 128), "absmax8", input);
    Sensitivity found =
        Sensitivity.measure(List.of(layer), ActivationType.INT8, SearchOptions.DEFAULT)
            .layers()
            .getFirst();
    assertEquals(0, found.plain());
    assertEquals(0, found.smoothed());
  }
}
