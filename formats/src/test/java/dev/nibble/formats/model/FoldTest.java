package dev.nibble.formats.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.Shape;
import java.io.IOException;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// That models compute the same afterwards is tested where they run.
class FoldTest {
  private static <T> T get(Map<String, T> map, String name) {
    return Objects.requireNonNull(map.get(name), name);
  }

  private static Map<String, Shape> tensors(String golden) throws IOException {
    Map<String, Shape> tensors = new LinkedHashMap<>();
    LinearGoldens.read(golden)
        .tensors()
        .forEach((name, tensor) -> tensors.put(name, tensor.shape()));
    return tensors;
  }

  /// Real classes; consumers and producers exist, and no layer takes two scales.
  @ParameterizedTest
  @CsvSource({
    "z-image, zimage",
    "qwen-image, qwen-image",
    "qwen-llama, qwen3-model",
    "qwen-llama, qwen25-vl"
  })
  void realModelsHaveFolds(String family, String golden) throws IOException {
    Map<String, Shape> tensors = tensors(golden);
    List<Fold> folds = ModelFamilies.byId(family).orElseThrow().folds(tensors);
    assertTrue(folds.size() > 2, folds.toString());
    Set<String> scaled = new HashSet<>();
    for (Fold fold : folds) {
      long width = get(tensors, fold.consumers().getFirst() + ".weight").last();
      for (String consumer : fold.consumers()) {
        assertEquals(width, get(tensors, consumer + ".weight").last());
        assertTrue(scaled.add(consumer), consumer);
      }
      List<RowEdit> edits = fold.edits(ones((int) width), tensors.keySet());
      assertTrue(!edits.isEmpty());
      for (RowEdit edit : edits) {
        assertEquals(width, edit.rows());
        assertTrue(edit.firstRow() + edit.rows() <= get(tensors, edit.tensor()).dim(0));
      }
    }
  }

  /// Llama's names could be Gemma's, whose norms multiply by 1 + weight.
  @ParameterizedTest
  @CsvSource({"qwen-llama, llama-causal", "flux, flux", "t5, t5-encoder"})
  void whatIsNotKnownHasNone(String family, String golden) throws IOException {
    ModelFamily found = ModelFamilies.byId(family).orElseThrow();
    assertEquals(List.of(), found.folds(tensors(golden)));
  }

  private static float[] ones(int count) {
    float[] ones = new float[count];
    Arrays.fill(ones, 1);
    return ones;
  }

  @Test
  void modulationMovesTheOneThatIsAdded() {
    Fold fold = new Fold.Modulation("mod", 1, OptionalInt.of(0), List.of("layer"));
    Set<String> names = Set.of("mod.weight", "mod.bias", "layer.weight");
    Map<String, TensorEdit> edits = TensorEdit.of(Map.of(fold, new float[] {2, 4}), names);
    assertEquals(names, edits.keySet());
    // Three chunks of two: shift, scale, gate.
    float[] bias = {8, 8, 1, 3, 5, 5};
    get(edits, "mod.bias").apply(0, 6, 1, bias, 0);
    assertArrayEquals(new float[] {4, 2, 0, 0, 5, 5}, bias);
    float[] weight = {1, 1, 1, 1, 1, 1};
    get(edits, "mod.weight").apply(0, 6, 1, weight, 0);
    assertArrayEquals(new float[] {0.5f, 0.25f, 0.5f, 0.25f, 1, 1}, weight);
    float[] layer = {1, 1, 3, 3};
    get(edits, "layer.weight").apply(0, 4, 2, layer, 0);
    assertArrayEquals(new float[] {2, 4, 6, 12}, layer);
  }

  @Test
  void aProducerMayHaveAnInputScaleOfItsOwn() {
    Fold in = new Fold.NormWeight("norm", List.of("v"));
    Fold out = new Fold.LinearRows(List.of("v"), List.of("o"));
    Map<String, TensorEdit> edits =
        TensorEdit.of(
            Map.of(in, new float[] {2, 8}, out, new float[] {4, 16}),
            Set.of("norm.weight", "v.weight", "v.bias", "o.weight"));
    float[] whole = {1, 1, 1, 1};
    get(edits, "v.weight").apply(0, 4, 2, whole, 0);
    assertArrayEquals(new float[] {0.5f, 2, 0.125f, 0.5f}, whole);
    // A slice from the middle of a row to the middle of the next, not at the array's front.
    float[] slice = {7, 1, 1, 7};
    get(edits, "v.weight").apply(1, 2, 2, slice, 1);
    assertArrayEquals(new float[] {7, 2, 0.125f, 7}, slice);
    float[] bias = {4, 4};
    get(edits, "v.bias").apply(0, 2, 1, bias, 0);
    assertArrayEquals(new float[] {1, 0.25f}, bias);
  }

  /// `1 + scale` of a bias that a file holds in bfloat16.
  private static double worstOfModulation(Fold fold, float[] scales) {
    float[] bias = new float[scales.length];
    Arrays.fill(bias, 0.1f);
    float[] edited = bias.clone();
    get(TensorEdit.of(Map.of(fold, scales), Set.of("mod.bias")), "mod.bias")
        .apply(0, edited.length, 1, edited, 0);
    double worst = 0;
    for (int i = 0; i < edited.length; i++) {
      float stored = Float.intBitsToFloat((Float.floatToIntBits(edited[i]) + 0x8000) & 0xFFFF0000);
      double wanted = (1 + (double) bias[i]) / scales[i];
      worst = Math.max(worst, Math.abs(1 + (double) stored - wanted) / wanted);
    }
    return worst;
  }

  @Test
  void fittedScalesSurviveBfloat16() {
    Fold fold = new Fold.Modulation("mod", 0, OptionalInt.empty(), List.of());
    float[] scales = {0.07f, 0.4f, 1.3f, 7.1f, 15.2f};
    float[] fitted = fold.fitted(scales);
    for (int i = 0; i < scales.length; i++) {
      assertEquals(scales[i] / 16, fitted[i]);
    }
    assertTrue(worstOfModulation(fold, scales) > 0.01);
    assertTrue(worstOfModulation(fold, fitted) <= 1.0 / 256);
    Fold norm = new Fold.NormWeight("norm", List.of());
    assertArrayEquals(scales, norm.fitted(scales));
  }
}
