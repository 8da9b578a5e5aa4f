package dev.nibble.converter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.quant.AbsmaxInt8;
import dev.nibble.formats.quant.DynamicInt8;
import dev.nibble.formats.quant.FourBit;
import dev.nibble.formats.quant.FourBitType;
import dev.nibble.formats.quant.LlmInt8;
import dev.nibble.formats.quant.QuantScheme;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What is quantized, in which storage, and what the configuration and the loaders say of it.
class PlannerTest {
  private static final QuantScheme NF4 = new FourBit(FourBitType.NF4, 64, true);
  private static final QuantScheme FP4 = new FourBit(FourBitType.FP4, 128, false);
  private static final String DIFFUSERS_CONFIG = "{\"_class_name\":\"FluxTransformer2DModel\"}";

  @TempDir Path folder;

  @Test
  void quantizesEveryLinearLayerOfZImage() throws IOException {
    ConversionPlan plan = plan(zimage().scheme(NF4));
    assertEquals("z-image", plan.family());
    assertTrue(plan.directory());
    assertEquals("diffusion_pytorch_model", plan.baseName());
    assertTrue(plan.target().endsWith("emoji-zimage/transformer-nf4"), plan.target().toString());
    for (TensorPlan tensor : plan.tensors()) {
      String name = tensor.source().name();
      boolean linear = name.endsWith(".weight") && tensor.source().shape().rank() == 2;
      assertEquals(linear ? "nf4" : "keep", tensor.scheme(), name);
      assertFalse(tensor.reason().isEmpty(), name);
    }
    assertEquals(0, skipList(plan).size());
    assertEquals("bitsandbytes", quantization(plan).get("quant_method").textValue());
    assertTrue(plan.bytesOut() < plan.bytesIn());
  }

  @Test
  void listsEverySkippedLayerByItsFullPath() throws IOException {
    ConversionPlan plan = plan(qwen().scheme(NF4).skip("img_mod"));
    assertEquals(
        List.of(
            "transformer_blocks.0.img_mod.1",
            "transformer_blocks.1.img_mod.1",
            "transformer_blocks.2.img_mod.1",
            "transformer_blocks.3.img_mod.1"),
        skipList(plan).stream().sorted().toList());
    assertEquals(Map.of("--skip img_mod", 4), plan.matches());
    for (TensorPlan tensor : plan.tensors()) {
      if (tensor.source().name().contains("img_mod") && tensor.source().name().endsWith("weight")) {
        assertEquals("keep", tensor.scheme());
        assertEquals("--skip img_mod", tensor.reason());
      }
    }
  }

  @Test
  void listsATextEncoderInEverySpellingAndItsTiedHead() throws IOException {
    ConversionPlan plan = plan(text().scheme(NF4).skip("layers.1.mlp"));
    assertEquals("qwen-llama", plan.family());
    assertEquals("model", plan.baseName());
    List<String> listed = skipList(plan);
    assertTrue(listed.contains("model.layers.1.mlp.up_proj"));
    assertTrue(listed.contains("layers.1.mlp.up_proj"));
    assertTrue(listed.contains("lm_head"), "a list replaces the default that spares a tied head");
    assertEquals(3 * 2 + 1, listed.size());
    assertEquals("keep", scheme(plan, "model.embed_tokens.weight"));
  }

  @Test
  void keepsWhatTheFamilyCallsSensitive() throws IOException {
    ConversionPlan plan = plan(zimage().scheme(NF4).keepSensitive(true));
    assertEquals("keep", scheme(plan, "t_embedder.mlp.0.weight"));
    assertEquals("keep", scheme(plan, "noise_refiner.0.attention.to_q.weight"));
    assertEquals("keep", scheme(plan, "layers.3.adaLN_modulation.0.weight"));
    assertEquals("nf4", scheme(plan, "layers.3.attention.to_q.weight"));
    assertTrue(skipList(plan).contains("t_embedder.mlp.0"));
    assertTrue(reason(plan, "t_embedder.mlp.0.weight").startsWith("--keep-sensitive t_embedder: "));
  }

  @Test
  void quantizesOnlyWhatOnlyNames() throws IOException {
    ConversionPlan plan = plan(qwen().scheme(NF4).only(List.of("attn", "img_mlp")));
    assertEquals("nf4", scheme(plan, "transformer_blocks.0.attn.to_q.weight"));
    assertEquals("nf4", scheme(plan, "transformer_blocks.0.img_mlp.net.2.weight"));
    assertEquals("keep", scheme(plan, "proj_out.weight"));
    assertEquals("not in --only", reason(plan, "proj_out.weight"));
    assertTrue(skipList(plan).contains("proj_out"));
  }

  @Test
  void theLastSchemeRuleWinsAndSkipBeatsIt() throws IOException {
    ConversionPlan plan =
        plan(
            qwen()
                .schemes(
                    List.of(
                        new SchemeRule("*", NF4),
                        new SchemeRule("attn", FP4),
                        new SchemeRule("attn.to_q", NF4)))
                .skip("transformer_blocks.0.attn.to_k"));
    assertEquals("nf4", scheme(plan, "proj_out.weight"));
    assertEquals(FP4.id(), scheme(plan, "transformer_blocks.0.attn.to_v.weight"));
    assertEquals("nf4", scheme(plan, "transformer_blocks.0.attn.to_q.weight"));
    assertEquals("keep", scheme(plan, "transformer_blocks.0.attn.to_k.weight"));
    assertEquals(
        Map.of(
            "--skip transformer_blocks.0.attn.to_k",
            1,
            "--scheme attn=" + FP4.id(),
            32,
            "--scheme attn.to_q=nf4",
            4),
        plan.matches());
    assertEquals("nf4", quantization(plan).get("bnb_4bit_quant_type").textValue());
  }

  @Test
  void castsOnlyFloatTensorsThatAreKept() throws IOException {
    ConversionPlan plan =
        plan(
            ConversionRequest.builder(
                    TestModels.write(folder.resolve("m.safetensors"), TestModels.flux(), DType.F32))
                .scheme(NF4)
                .keptDtype(DType.BF16));
    assertEquals("cast:BF16", scheme(plan, "x_embedder.bias"));
    assertEquals("nf4", scheme(plan, "x_embedder.weight"));
    ConversionPlan same = plan(qwen().scheme(NF4).keptDtype(DType.BF16));
    assertEquals("keep", scheme(same, "proj_out.bias"));
  }

  @Test
  void refusesWhatDiffusersWouldReadOtherwise() throws IOException {
    Path model = model("flux", TestModels.flux(), DIFFUSERS_CONFIG);
    String message =
        refusal(
            ConversionRequest.builder(model)
                .scheme(NF4)
                .only(List.of("transformer_blocks", "single_transformer_blocks")));
    assertEquals(
        model
            + ": with 'proj_out' kept, diffusers would also leave 2 layers such as"
            + " 'single_transformer_blocks.0.proj_out' in float, which the plan quantizes: add"
            + " --skip 'single_transformer_blocks.*.proj_out', or quantize 'proj_out' too",
        message);
    ConversionPlan cured =
        plan(
            ConversionRequest.builder(model)
                .scheme(NF4)
                .only(List.of("transformer_blocks", "single_transformer_blocks"))
                .skip("single_transformer_blocks.*.proj_out"));
    assertTrue(skipList(cured).contains("single_transformer_blocks.1.proj_out"));
    plan(ConversionRequest.builder(model).scheme(NF4).keepSensitive(true));
    plan(ConversionRequest.builder(model).scheme(NF4).skip("proj_out"));
  }

  @Test
  void aSingleFileHasNoLoaderToDisagree() throws IOException {
    Path file = TestModels.write(folder.resolve("m.safetensors"), TestModels.flux(), DType.BF16);
    ConversionPlan plan =
        plan(
            ConversionRequest.builder(file)
                .scheme(NF4)
                .only(List.of("transformer_blocks", "single_transformer_blocks")));
    assertFalse(plan.directory());
    assertEquals("keep", scheme(plan, "proj_out.weight"));
  }

  @Test
  void refusesWhatTransformersFiveWouldReadOtherwise() throws IOException {
    Map<String, Shape> tensors = new LinkedHashMap<>();
    for (int i = 0; i < 11; i++) {
      TestModels.linear(tensors, "net." + i, 64, 64);
    }
    Path model = model("mlp", tensors, "{\"architectures\":[\"Mlp\"]}");
    assertTrue(
        refusal(ConversionRequest.builder(model).scheme(NF4).skip("net.1"))
            .contains("transformers 5 would also leave 'net.10' in float"));
  }

  @Test
  void keepsWhatTheClassKeepsInFloat32() throws IOException {
    Map<String, Shape> wan = new LinkedHashMap<>();
    TestModels.linear(wan, "condition_embedder.time_embedder.linear_1", 64, 64);
    TestModels.linear(wan, "blocks.0.attn1.to_q", 64, 64);
    Path model = model("wan", wan, "{\"_class_name\":\"WanTransformer3DModel\"}");
    ConversionPlan plan = plan(ConversionRequest.builder(model).scheme(NF4));
    assertEquals("unknown", plan.family());
    assertEquals(
        "diffusers keeps it in float32: time_embedder",
        reason(plan, "condition_embedder.time_embedder.linear_1.weight"));
    assertEquals(List.of("condition_embedder.time_embedder.linear_1"), skipList(plan));
    assertTrue(plan.notes().getFirst().startsWith("unknown model"));
  }

  @Test
  void refusesMixesThatADirectoryCannotHold() throws IOException {
    List<SchemeRule> mix = List.of(new SchemeRule("*", NF4), new SchemeRule("attn", new LlmInt8()));
    String message = refusal(qwen().schemes(mix));
    assertTrue(message.contains("4-bit or 8-bit"), message);
    assertTrue(message.contains("-o X.safetensors"), message);
    List<SchemeRule> other =
        List.of(new SchemeRule("*", NF4), new SchemeRule("attn", new AbsmaxInt8(0)));
    assertTrue(refusal(qwen().schemes(other)).contains("-o X.safetensors"));
    ConversionPlan file = plan(qwen().schemes(mix).output(folder.resolve("mix.safetensors")));
    assertFalse(file.directory());
    assertEquals("int8", scheme(file, "transformer_blocks.0.attn.to_q.weight"));
  }

  @Test
  void plansEveryScheme() throws IOException {
    for (QuantScheme scheme :
        List.of(
            NF4, FP4, new LlmInt8(), new AbsmaxInt8(0), new AbsmaxInt8(64), new DynamicInt8(64))) {
      for (ConversionRequest.Builder request : List.of(zimage(), qwen(), text())) {
        ConversionPlan plan = plan(request.scheme(scheme));
        List<String> names = new ArrayList<>();
        for (TensorPlan tensor : plan.tensors()) {
          if (tensor instanceof TensorPlan.Quantize quantize) {
            quantize.stored().forEach(stored -> names.add(stored.name()));
            assertTrue(quantize.bytesOut() < quantize.source().byteSize() * 3 / 4, scheme.id());
          } else {
            names.add(tensor.source().name());
          }
        }
        assertEquals(names.size(), names.stream().distinct().count(), scheme.id());
        assertTrue(quantization(plan).has("quant_method"), scheme.id());
      }
    }
  }

  @Test
  void refusesAPipelineNamingItsComponents() {
    Exception refused =
        assertThrows(
            UnsupportedException.class,
            () ->
                plan(ConversionRequest.builder(Fixtures.path("models/emoji-zimage")).scheme(NF4)));
    assertTrue(String.valueOf(refused.getMessage()).contains("text_encoder, transformer, vae"));
  }

  @Test
  void refusesASourceThatIsQuantizedAlready() throws IOException {
    for (String golden :
        List.of(
            "bnb/bnb4_medium.quant",
            "fp8/fp8_mini_scaled_fp8_marker0",
            "fp8/fp8_mini_comfy_quant")) {
      Path file = Fixtures.path("goldens/" + golden + ".safetensors");
      String message =
          String.valueOf(
              assertThrows(
                      UnsupportedException.class,
                      () -> plan(ConversionRequest.builder(file).scheme(NF4)))
                  .getMessage());
      assertTrue(message.contains("is quantized already, by "), message);
    }
    Map<String, Shape> ints = new LinkedHashMap<>();
    TestModels.linear(ints, "a.b", 64, 64);
    Path file = TestModels.write(folder.resolve("int.safetensors"), ints, DType.I16);
    assertTrue(
        refusal(ConversionRequest.builder(file).scheme(NF4)).contains("'a.b.weight' is I16"));
    ConversionPlan plain =
        plan(
            ConversionRequest.builder(
                    TestModels.write(folder.resolve("fp8.safetensors"), ints, DType.F8_E4M3))
                .scheme(NF4));
    assertEquals("nf4", scheme(plain, "a.b.weight"));
  }

  @Test
  void refusesToQuantizeNothing() throws IOException {
    assertTrue(refusal(qwen().scheme(NF4).skip("*")).contains("nothing to quantize"));
    Path vae = Fixtures.path("models/emoji-zimage/vae");
    assertEquals(
        "nf4",
        scheme(
            plan(ConversionRequest.builder(vae).scheme(NF4)),
            "decoder.mid_block.attentions.0.to_q.weight"));
  }

  @Test
  void namesTheFamiliesItKnows() {
    assertTrue(refusal(qwen().scheme(NF4).family("qwen")).contains("qwen-image"));
  }

  private static ConversionRequest.Builder zimage() {
    return ConversionRequest.builder(Fixtures.path("models/emoji-zimage/transformer"));
  }

  private static ConversionRequest.Builder qwen() {
    return ConversionRequest.builder(Fixtures.path("models/emoji-qwen/transformer-qwen"));
  }

  private static ConversionRequest.Builder text() {
    return ConversionRequest.builder(Fixtures.path("models/emoji-zimage/text_encoder"));
  }

  private Path model(String name, Map<String, Shape> tensors, String config) throws IOException {
    Path model = Files.createDirectory(folder.resolve(name));
    TestModels.write(model.resolve("weights.safetensors"), tensors, DType.BF16);
    Files.writeString(model.resolve("config.json"), config);
    return model;
  }

  private static ConversionPlan plan(ConversionRequest.Builder request) throws IOException {
    return new Planner().plan(request.build());
  }

  private static String refusal(ConversionRequest.Builder request) {
    ConversionException refused = assertThrows(ConversionException.class, () -> plan(request));
    String message = String.valueOf(refused.getMessage());
    assertFalse(message.contains("\n"), message);
    return message;
  }

  private static TensorPlan tensor(ConversionPlan plan, String name) {
    return plan.tensors().stream()
        .filter(tensor -> tensor.source().name().equals(name))
        .findFirst()
        .orElseThrow();
  }

  private static String scheme(ConversionPlan plan, String name) {
    return tensor(plan, name).scheme();
  }

  private static String reason(ConversionPlan plan, String name) {
    return tensor(plan, name).reason();
  }

  private static JsonNode quantization(ConversionPlan plan) throws IOException {
    return new ObjectMapper()
        .readTree(plan.configuration().orElseThrow())
        .get("quantization_config");
  }

  private static List<String> skipList(ConversionPlan plan) throws IOException {
    List<String> names = new ArrayList<>();
    JsonNode list = quantization(plan).get("llm_int8_skip_modules");
    list.forEach(name -> names.add(name.textValue()));
    return names;
  }
}
