package dev.nibble.formats.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.Shape;
import dev.nibble.formats.model.ModelFamily.Dialect;
import java.io.IOException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/// The families against the real classes of diffusers and transformers (goldens/linears).
class ModelFamiliesTest {
  private static final Map<String, String> FAMILIES =
      Map.ofEntries(
          Map.entry("zimage", "z-image"),
          Map.entry("qwen-image", "qwen-image"),
          Map.entry("flux", "flux"),
          Map.entry("sd3", "sd3"),
          Map.entry("sd35-medium", "sd3"),
          Map.entry("dit", "dit"),
          Map.entry("sd15-unet", "sd-unet"),
          Map.entry("sdxl-unet", "sd-unet"),
          Map.entry("qwen3-causal", "qwen-llama"),
          Map.entry("qwen3-causal-untied", "qwen-llama"),
          Map.entry("qwen3-model", "qwen-llama"),
          Map.entry("llama-causal", "qwen-llama"),
          Map.entry("qwen25-vl", "qwen-llama"),
          Map.entry("t5-encoder", "t5"),
          Map.entry("t5-encoder-relu", "t5"),
          Map.entry("umt5-encoder", "t5"),
          Map.entry("clip-text", "clip"),
          Map.entry("clip-text-projection", "clip"));

  static List<String> goldens() {
    return LinearGoldens.ids();
  }

  @ParameterizedTest
  @MethodSource("goldens")
  void findsTheFamilyAndExactlyTheLinearLayers(String id) throws IOException {
    LinearGoldens golden = LinearGoldens.read(id);
    Recognition found = ModelFamilies.recognise(golden.tensors().keySet());
    assertEquals(FAMILIES.getOrDefault(id, "unknown"), found.family().id());
    assertTrue(found.opensAsDirectory());
    assertEquals(linears(golden), linears(found, golden), id);
  }

  @ParameterizedTest
  @MethodSource("goldens")
  void guessesTheSameLinearLayersByShape(String id) throws IOException {
    LinearGoldens golden = LinearGoldens.read(id);
    Recognition guess = ModelFamilies.treatAs(ModelFamilies.unknown(), golden.tensors().keySet());
    assertEquals(linears(golden), linears(guess, golden), id);
  }

  /// What the library quantizes by default is every linear layer, less what the family or the class
  /// says that loaders keep.
  @ParameterizedTest
  @MethodSource("goldens")
  void knowsWhatTheLoadersKeep(String id) throws IOException {
    LinearGoldens golden = LinearGoldens.read(id);
    ModelFamily family = ModelFamilies.recognise(golden.tensors().keySet()).family();
    assertEquals(
        Set.copyOf(golden.keptInFp32()),
        Set.copyOf(KeptInFp32.of(golden.className())),
        golden.className());
    Set<String> quantized = new TreeSet<>();
    for (String name : linears(golden)) {
      String path = "." + NameRules.module(name) + ".";
      boolean kept =
          family.keptByLoaders().stream()
                  .anyMatch(note -> path.contains("." + note.pattern() + "."))
              || KeptInFp32.of(golden.className()).stream()
                  .anyMatch(key -> path.contains("." + key + "."));
      if (!kept) {
        quantized.add(name);
      }
    }
    Set<String> expected =
        golden.tensors().entrySet().stream()
            .filter(entry -> entry.getValue().quantized())
            .map(Map.Entry::getKey)
            .collect(Collectors.toCollection(TreeSet::new));
    assertEquals(expected, quantized, id);
  }

  @ParameterizedTest
  @MethodSource("goldens")
  void seesThroughThePrefixOfABundle(String id) throws IOException {
    if (!FAMILIES.containsKey(id)) {
      return;
    }
    LinearGoldens golden = LinearGoldens.read(id);
    String prefix = "model.diffusion_model.";
    Map<String, Shape> bundle = new LinkedHashMap<>();
    golden.tensors().forEach((name, tensor) -> bundle.put(prefix + name, tensor.shape()));
    bundle.put("first_stage_model.decoder.mid.attn_1.q.weight", Shape.of(512, 512));
    Recognition found = ModelFamilies.recognise(bundle.keySet());
    assertEquals(FAMILIES.get(id), found.family().id());
    assertEquals(prefix, found.prefix());
    assertFalse(found.opensAsDirectory());
    Set<String> linear = new TreeSet<>();
    bundle.forEach((name, shape) -> {
      if (found.isLinear(name, shape)) {
        linear.add(name.substring(prefix.length()));
      }
    });
    assertEquals(linears(golden), linear);
  }

  @ParameterizedTest
  @CsvSource({
    "z-image, layers.0.adaLN_modulation.0.weight|layers.0.attention.qkv.weight",
    "flux, double_blocks.0.img_attn.norm.key_norm.scale|double_blocks.0.img_attn.qkv.weight",
    "sd-unet, input_blocks.1.0.emb_layers.1.weight|out.2.weight",
    "sd3, joint_blocks.0.context_block.adaLN_modulation.1.weight|x_embedder.proj.weight",
    "dit, y_embedder.embedding_table.weight|blocks.0.adaLN_modulation.1.weight"
  })
  void knowsTheOriginalNames(String id, String names) {
    Recognition found = ModelFamilies.recognise(Set.of(names.split("\\|")));
    assertEquals(id, found.family().id());
    assertEquals(Dialect.ORIGINAL, found.dialect());
    assertFalse(found.opensAsDirectory());
  }

  @ParameterizedTest
  @CsvSource({
    "flux, double_blocks.0.img_mod.lin.weight, 2, LINEAR",
    "flux, final_layer.adaLN_modulation.1.weight, 2, LINEAR",
    "flux, double_blocks.0.img_attn.norm.key_norm.scale, 1, PARAMETER",
    "sd-unet, label_emb.0.0.weight, 2, LINEAR",
    "sd-unet, label_emb.weight, 2, EMBEDDING",
    "sd-unet, class_embedding.weight, 2, EMBEDDING",
    "sd-unet, input_blocks.1.1.proj_in.weight, 4, CONVOLUTION",
    "sd-unet, input_blocks.4.1.proj_in.weight, 2, LINEAR",
    "dit, y_embedder.embedding_table.weight, 2, EMBEDDING",
    "z-image, x_pad_token, 2, PARAMETER",
    "z-image, norm_final.weight, 1, NORM",
    "qwen-image, time_text_embed.addition_t_embedding.weight, 2, EMBEDDING",
    "t5, encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight, 2, EMBEDDING",
    "clip, text_model.embeddings.position_embedding.weight, 2, EMBEDDING",
    "qwen-llama, visual.patch_embed.proj.weight, 5, CONVOLUTION",
    "unknown, x_embedder.bias, 1, BIAS",
    "unknown, pad.weight, 2, LINEAR",
    "unknown, context_norm.weight, 2, NORM",
    "unknown, logit_scale, 0, PARAMETER"
  })
  void tellsTheKindOfATensor(String family, String name, int rank, LayerKind kind) {
    long[] dims = new long[rank];
    Arrays.fill(dims, 64);
    assertEquals(
        kind, ModelFamilies.byId(family).orElseThrow().kind(name, Shape.of(dims), Set.of(name)));
  }

  @Test
  void aBiasTellsALinearLayerFromATable() {
    Set<String> names = Set.of("class_embedding.weight", "class_embedding.bias");
    ModelFamily unet = ModelFamilies.byId("sd-unet").orElseThrow();
    assertEquals(LayerKind.LINEAR, unet.kind("class_embedding.weight", Shape.of(1280, 512), names));
  }

  @Test
  void spellsTheModulesOfEveryClassThatOpensADecoder() throws IOException {
    Set<String> saved =
        Set.of("model.layers.0.self_attn.q_proj.weight", "visual.blocks.0.attn.qkv.weight");
    ModelFamily family = ModelFamilies.byId("qwen-llama").orElseThrow();
    Set<String> modules =
        LinearGoldens.read("qwen25-vl").tensors().keySet().stream()
            .filter(name -> name.endsWith(".weight"))
            .map(NameRules::module)
            .collect(Collectors.toSet());
    assertTrue(
        family.spellings(saved).stream()
            .anyMatch(spelling ->
                modules.contains(spelling.of("model.layers.0.self_attn.q_proj"))
                    && modules.contains(spelling.of("visual.blocks.0.attn.qkv"))));
    assertEquals(
        "layers.0.mlp.up_proj", family.spellings(saved).get(1).of("model.layers.0.mlp.up_proj"));
  }

  @Test
  void aMixtureOfExpertsIsNotTakenForADecoder() {
    Recognition found =
        ModelFamilies.recognise(
            Set.of(
                "model.layers.0.self_attn.q_proj.weight",
                "model.layers.0.mlp.down_proj.weight",
                "model.layers.1.mlp.experts.0.up_proj.weight"));
    assertEquals("unknown", found.family().id());
  }

  private static Set<String> linears(LinearGoldens golden) {
    return golden.tensors().entrySet().stream()
        .filter(entry ->
            entry.getValue().module().contains("Linear") && entry.getKey().endsWith(".weight"))
        .map(Map.Entry::getKey)
        .collect(Collectors.toCollection(TreeSet::new));
  }

  private static Set<String> linears(Recognition found, LinearGoldens golden) {
    return golden.tensors().entrySet().stream()
        .filter(entry -> found.isLinear(entry.getKey(), entry.getValue().shape()))
        .map(Map.Entry::getKey)
        .collect(Collectors.toCollection(TreeSet::new));
  }
}
