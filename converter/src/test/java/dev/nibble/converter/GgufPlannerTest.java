package dev.nibble.converter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.gguf.GgufValue;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.formats.quant.storage.AwqStorage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Which type each tensor of a GGUF file gets. The expected ones are read off ComfyUI-GGUF's
/// `tools/convert.py` and `tools/lcpp.patch`.
class GgufPlannerTest {
  @TempDir Path folder;

  private ConversionPlan plan(Map<String, Shape> tensors, DType dtype, String mix)
      throws IOException {
    return plan(request(tensors, dtype).gguf(GgufMix.named(mix).orElseThrow()));
  }

  private ConversionRequest.Builder request(Map<String, Shape> tensors, DType dtype)
      throws IOException {
    Path source = TestModels.write(folder.resolve(tensors.hashCode() + "" + dtype), tensors, dtype);
    return ConversionRequest.builder(source).output(folder.resolve("out.gguf"));
  }

  private static ConversionPlan plan(ConversionRequest.Builder request) throws IOException {
    return new Converter().plan(request.build());
  }

  private static Map<String, String> schemes(ConversionPlan plan) {
    return plan.tensors().stream()
        .collect(
            Collectors.toMap(
                tensor -> tensor.source().name(),
                TensorPlan::scheme,
                (a, _) -> a,
                LinkedHashMap::new));
  }

  /// Z-Image in its original names, in sizes that are multiples of 256.
  private static Map<String, Shape> zImage() {
    Map<String, Shape> tensors = new LinkedHashMap<>();
    tensors.put("cap_embedder.0.weight", Shape.of(512));
    TestModels.linear(tensors, "cap_embedder.1", 512, 512);
    TestModels.linear(tensors, "x_embedder", 512, 64);
    tensors.put("x_pad_token", Shape.of(1, 512));
    tensors.put("cap_pad_token", Shape.of(4, 512));
    for (String block : List.of("layers.0", "context_refiner.0")) {
      tensors.put(block + ".attention.qkv.weight", Shape.of(1536, 512));
      tensors.put(block + ".attention.out.weight", Shape.of(512, 512));
      tensors.put(block + ".attention.q_norm.weight", Shape.of(64));
      tensors.put(block + ".feed_forward.w1.weight", Shape.of(1024, 512));
      tensors.put(block + ".feed_forward.w2.weight", Shape.of(512, 1024));
    }
    TestModels.linear(tensors, "layers.0.adaLN_modulation.0", 2048, 256);
    return tensors;
  }

  private static Map<String, Shape> unet() {
    Map<String, Shape> tensors = new LinkedHashMap<>();
    TestModels.linear(tensors, "time_embed.0", 1280, 320);
    tensors.put("input_blocks.0.0.weight", Shape.of(320, 4, 3, 3));
    TestModels.linear(tensors, "input_blocks.1.0.emb_layers.1", 320, 1280);
    tensors.put("input_blocks.1.0.in_layers.2.weight", Shape.of(320, 320, 3, 3));
    tensors.put("input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight", Shape.of(320, 320));
    tensors.put("input_blocks.1.1.transformer_blocks.0.attn1.to_v.weight", Shape.of(320, 320));
    return tensors;
  }

  /// Twelve blocks of Qwen-Image, so that the order of names is not that of numbers.
  private static Map<String, Shape> qwenImage() {
    Map<String, Shape> tensors = new LinkedHashMap<>();
    TestModels.linear(tensors, "img_in", 256, 64);
    for (int i = 0; i < 12; i++) {
      String block = "transformer_blocks." + i;
      TestModels.linear(tensors, block + ".img_mod.1", 1536, 256);
      TestModels.linear(tensors, block + ".attn.to_v", 256, 256);
    }
    TestModels.linear(tensors, "proj_out", 64, 256);
    return tensors;
  }

  @ParameterizedTest
  @CsvSource({
    "Q2_K, q2_k, q2_k, q2_k",
    "Q3_K_S, q3_k, q3_k, q3_k",
    "Q3_K_M, q3_k, q4_k, q4_k",
    "Q3_K_L, q3_k, q4_k, q5_k",
    "Q4_K_S, q4_k, q4_k, q5_k",
    "Q4_K_M, q4_k, q5_k, q6_k",
    "Q5_K_S, q5_k, q5_k, q5_k",
    "Q5_K_M, q5_k, q6_k, q6_k",
    "Q6_K, q6_k, q6_k, q6_k",
    "Q8_0, q8_0, q8_0, q8_0",
    "Q4_0, q4_0, q4_0, q4_1",
    "Q5_0, q5_0, q5_0, q5_1",
    "Q4_1, q4_1, q4_1, q4_1",
    "IQ4_XS, iq4_xs, iq4_xs, iq4_xs",
    "q4_k, q4_k, q5_k, q6_k"
  })
  void fusedAttentionAndFeedForwardGetTheMixsTypes(
      String mix, String base, String fused, String down) throws IOException {
    Map<String, String> schemes = schemes(plan(zImage(), DType.BF16, mix));
    assertEquals("gguf:" + base, schemes.get("layers.0.attention.out.weight"));
    assertEquals("gguf:" + base, schemes.get("layers.0.feed_forward.w1.weight"));
    assertEquals("gguf:" + base, schemes.get("layers.0.adaLN_modulation.0.weight"));
    assertEquals("gguf:" + fused, schemes.get("layers.0.attention.qkv.weight"));
    assertEquals("gguf:" + down, schemes.get("layers.0.feed_forward.w2.weight"));
  }

  @ParameterizedTest
  @CsvSource({
    // In the order of the data, here that of names: blocks 0, 1, 10, 11, 2, ...
    "Q3_K_M, q5_k, q5_k, q4_k, q4_k, q4_k",
    "Q3_K_L, q5_k, q5_k, q5_k, q5_k, q5_k",
    "Q4_K_S, q5_k, q5_k, q5_k, q5_k, q4_k",
    "Q4_K_M, q6_k, q6_k, q6_k, q6_k, q6_k",
    "Q2_K, q3_k, q3_k, q3_k, q3_k, q3_k",
    "Q5_K_S, q5_k, q5_k, q5_k, q5_k, q5_k"
  })
  void firstAttentionValuesGetMore(
      String mix, String first, String second, String third, String fourth, String fifth)
      throws IOException {
    Map<String, String> schemes = schemes(plan(new TreeMap<>(qwenImage()), DType.BF16, mix));
    List<String> expected = List.of(first, second, third, fourth, fifth, fifth);
    List<Integer> blocks = List.of(0, 1, 10, 11, 2, 9);
    for (int i = 0; i < blocks.size(); i++) {
      String name = "transformer_blocks." + blocks.get(i) + ".attn.to_v.weight";
      assertEquals("gguf:" + expected.get(i), schemes.get(name), name);
    }
  }

  /// `convert.py` takes the tensors in the order of the file's data, llama.cpp in that of the file.
  @Test
  void firstAttentionValuesAreTheFirstOfTheFile() throws IOException {
    Map<String, String> schemes = schemes(plan(qwenImage(), DType.BF16, "Q4_K_S"));
    for (int block = 0; block < 12; block++) {
      String name = "transformer_blocks." + block + ".attn.to_v.weight";
      assertEquals(block < 4 ? "gguf:q5_k" : "gguf:q4_k", schemes.get(name), name);
    }
  }

  /// Tools want one file: safetensors would have made it in the order of names.
  @Test
  void firstAttentionValuesOfShardsAreTheFirstByName() throws IOException {
    Map<String, Shape> late = qwenImage();
    Map<String, Shape> early = new LinkedHashMap<>();
    for (int i : List.of(0, 1, 10)) {
      String name = "transformer_blocks." + i + ".attn.to_v.weight";
      early.put(name, Objects.requireNonNull(late.remove(name)));
    }
    Path index = folder.resolve("model.safetensors.index.json");
    Map<String, String> files = new LinkedHashMap<>();
    int number = 0;
    for (Map<String, Shape> shard : List.of(late, early)) {
      String file = "model-0000%d-of-00002.safetensors".formatted(++number);
      TestModels.write(folder.resolve(file), shard, DType.BF16);
      shard.keySet().forEach(name -> files.put(name, file));
    }
    Files.writeString(
        index,
        files.entrySet().stream()
            .map(entry -> "\"%s\":\"%s\"".formatted(entry.getKey(), entry.getValue()))
            .collect(Collectors.joining(",", "{\"weight_map\":{", "}}")));
    Map<String, String> schemes =
        schemes(
            plan(
                ConversionRequest.builder(index)
                    .gguf(GgufMix.Q4_K_S)
                    .output(folder.resolve("out.gguf"))));
    for (int block = 0; block < 12; block++) {
      String name = "transformer_blocks." + block + ".attn.to_v.weight";
      boolean first = List.of(0, 1, 10, 11).contains(block);
      assertEquals(first ? "gguf:q5_k" : "gguf:q4_k", schemes.get(name), name);
    }
  }

  /// Linear layers get the type, whatever the architecture keeps; what is small or has one
  /// dimension is F32 unless it is F16 already.
  @ParameterizedTest
  @CsvSource({
    "BF16, F32, cast:F32, cast:F32, cast:F32",
    "BF16, F16, cast:F16, cast:F32, cast:F16",
    "BF16, BF16, keep, cast:F32, cast:F32",
    "F16, F32, cast:F32, cast:F32, cast:F32",
    "F16, F16, keep, keep, keep",
    "F16, BF16, cast:BF16, keep, keep",
    "F32, F32, keep, keep, keep",
    "F32, F16, cast:F16, keep, cast:F16",
    "F32, BF16, cast:BF16, keep, keep",
    "F8_E4M3, F32, cast:F32, cast:F32, cast:F32",
    "F8_E4M3, BF16, cast:BF16, cast:F16, cast:F16",
  })
  void plainTypes(String source, String mix, String linear, String exact, String other)
      throws IOException {
    ConversionPlan plan = plan(zImage(), DType.named(source).orElseThrow(), mix);
    Map<String, String> schemes = schemes(plan);
    for (String name : List.of("layers.0.attention.qkv", "cap_embedder.1", "x_embedder")) {
      assertEquals(linear, schemes.get(name + ".weight"), name);
    }
    for (String name : List.of("x_pad_token", "x_embedder.bias", "cap_embedder.0.weight")) {
      assertEquals(exact, schemes.get(name), name);
    }
    assertEquals(other, schemes.get("cap_pad_token"));
    Map<String, GgufValue> metadata = plan.gguf().orElseThrow().metadata();
    assertEquals(
        GgufValue.u32(Map.of("F32", 0, "F16", 1, "BF16", 32).getOrDefault(mix, -1)),
        metadata.get("general.file_type"));
    assertEquals(GgufValue.text("lumina2"), metadata.get("general.architecture"));
  }

  @Test
  void plainFilesQuantizeWhatSchemesName() throws IOException {
    ConversionPlan plan =
        plan(
            request(zImage(), DType.BF16)
                .schemes(List.of(new SchemeRule("feed_forward", QuantSchemes.parse("gguf:q8_0"))))
                .gguf(GgufMix.F16)
                .skip("adaLN_modulation"));
    Map<String, String> schemes = schemes(plan);
    assertEquals("gguf:q8_0", schemes.get("layers.0.feed_forward.w1.weight"));
    assertEquals("cast:F16", schemes.get("layers.0.attention.qkv.weight"));
    assertEquals("keep", schemes.get("layers.0.adaLN_modulation.0.weight"));
  }

  @Test
  void plainFilesCutNothing() throws IOException {
    ConversionRequest.Builder request = request(unet(), DType.BF16);
    for (GgufMix mix : List.of(GgufMix.F32, GgufMix.F16, GgufMix.BF16)) {
      ConversionPlan plan = plan(request.gguf(mix));
      assertEquals(Map.of(), plan.gguf().orElseThrow().cut());
      assertEquals(
          mix == GgufMix.F16 ? "cast:F16" : "cast:F32",
          schemes(plan).get("input_blocks.1.0.in_layers.2.weight"));
    }
  }

  @Test
  void keptTensorsAreWhatReadersNeed() throws IOException {
    Map<String, String> bf16 = schemes(plan(zImage(), DType.BF16, "Q8_0"));
    // Linear layers that the architecture keeps.
    assertEquals("keep", bf16.get("cap_embedder.1.weight"));
    assertEquals("keep", bf16.get("context_refiner.0.attention.qkv.weight"));
    assertEquals("keep", bf16.get("x_embedder.weight"));
    // One dimension, few elements, no linear layer.
    assertEquals("cast:F32", bf16.get("layers.0.attention.q_norm.weight"));
    assertEquals("cast:F32", bf16.get("x_pad_token"));
    assertEquals("cast:F32", bf16.get("cap_pad_token"));
    Map<String, String> f32 = schemes(plan(zImage(), DType.F32, "Q8_0"));
    assertEquals("cast:F16", f32.get("cap_embedder.1.weight"));
    assertEquals("keep", f32.get("layers.0.attention.q_norm.weight"));
    assertEquals("keep", f32.get("x_pad_token"));
    assertEquals("cast:F16", f32.get("cap_pad_token"));
    Map<String, String> f16 = schemes(plan(zImage(), DType.F16, "Q8_0"));
    assertEquals("keep", f16.get("cap_embedder.1.weight"));
    assertEquals("keep", f16.get("layers.0.attention.q_norm.weight"));
    Map<String, String> fp8 = schemes(plan(zImage(), DType.F8_E4M3, "Q8_0"));
    assertEquals("cast:F16", fp8.get("cap_embedder.1.weight"));
    assertEquals("gguf:q8_0", fp8.get("layers.0.attention.out.weight"));
  }

  @Test
  void namesTheLayerItselfAndItIsQuantized() throws IOException {
    ConversionPlan plan =
        plan(
            request(zImage(), DType.BF16)
                .schemes(
                    List.of(
                        new SchemeRule("cap_embedder.1", QuantSchemes.parse("gguf:q8_0")),
                        new SchemeRule("feed_forward.w2", QuantSchemes.parse("gguf:q5_1"))))
                .gguf(GgufMix.Q4_K_M)
                .skip("adaLN_modulation"));
    Map<String, String> schemes = schemes(plan);
    assertEquals("gguf:q8_0", schemes.get("cap_embedder.1.weight"));
    assertEquals("gguf:q5_1", schemes.get("layers.0.feed_forward.w2.weight"));
    assertEquals("gguf:q5_k", schemes.get("layers.0.attention.qkv.weight"));
    assertEquals("keep", schemes.get("layers.0.adaLN_modulation.0.weight"));
  }

  @Test
  void oneTypeForAllHasNoMix() throws IOException {
    ConversionPlan plan =
        plan(request(zImage(), DType.BF16).scheme(QuantSchemes.parse("gguf:q4_k")));
    Map<String, String> schemes = schemes(plan);
    assertEquals("gguf:q4_k", schemes.get("layers.0.attention.qkv.weight"));
    assertEquals("gguf:q4_k", schemes.get("layers.0.feed_forward.w2.weight"));
    assertEquals("keep", schemes.get("cap_embedder.1.weight"));
    assertEquals(GgufValue.u32(14), plan.gguf().orElseThrow().metadata().get("general.file_type"));
  }

  @Test
  void raggedRowsStayF16AndAreSaid() throws IOException {
    Map<String, Shape> tensors = qwenImage();
    tensors.put("transformer_blocks.0.attn.to_k.weight", Shape.of(256, 96));
    ConversionPlan plan = plan(tensors, DType.BF16, "Q4_K_M");
    assertEquals("cast:F16", schemes(plan).get("transformer_blocks.0.attn.to_k.weight"));
    assertTrue(
        plan.notes().stream().anyMatch(note -> note.contains("1 weights stay F16")),
        plan.notes().toString());
    assertEquals(
        "gguf:q8_0",
        schemes(plan(tensors, DType.F16, "Q8_0")).get("transformer_blocks.0.attn.to_k.weight"));
  }

  @Test
  void fiveDimensionsAreLeftOutAndSaid() throws IOException {
    Map<String, Shape> tensors = qwenImage();
    tensors.put("patch.weight", Shape.of(4, 4, 1, 2, 2));
    ConversionPlan plan = plan(tensors, DType.BF16, "Q8_0");
    assertFalse(schemes(plan).containsKey("patch.weight"));
    assertTrue(
        plan.notes().stream().anyMatch(note -> note.contains("patch.weight (BF16 4x4x1x2x2)")),
        plan.notes().toString());
  }

  /// Stable Diffusion's convolutions are cut into rows of 256, and only there.
  @Test
  void convolutionsOfUnetsAreCut() throws IOException {
    ConversionPlan plan = plan(unet(), DType.F16, "Q4_K_M");
    Map<String, String> schemes = schemes(plan);
    assertEquals("keep", schemes.get("time_embed.0.weight"));
    assertEquals("keep", schemes.get("input_blocks.0.0.weight"));
    assertEquals("gguf:q4_k", schemes.get("input_blocks.1.0.in_layers.2.weight"));
    assertEquals(
        "gguf:q4_k", schemes.get("input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"));
    assertEquals(
        "gguf:q6_k", schemes.get("input_blocks.1.1.transformer_blocks.0.attn1.to_v.weight"));
    GgufFile file = plan.gguf().orElseThrow();
    assertEquals(GgufValue.text("sd1"), file.metadata().get("general.architecture"));
    assertEquals(Shape.of(3600, 256), file.cut().get("input_blocks.1.0.in_layers.2.weight"));
    GgufValue shape =
        file.metadata().get("comfy.gguf.orig_shape.input_blocks.1.0.in_layers.2.weight");
    assertEquals("[320, 320, 3, 3]", Objects.requireNonNull(shape).text());
  }

  @ParameterizedTest
  @CsvSource({"Q8_0, 7", "Q4_K_M, 15", "Q4_K_S, 14", "Q6_K, 18", "Q2_K, 10", "Q4_0, 2"})
  void metadataIsWhatLoadersLookFor(String mix, int fileType) throws IOException {
    Map<String, GgufValue> metadata =
        plan(zImage(), DType.BF16, mix).gguf().orElseThrow().metadata();
    assertEquals(
        List.of("general.architecture", "general.quantization_version", "general.file_type"),
        List.copyOf(metadata.keySet()));
    assertEquals(GgufValue.text("lumina2"), metadata.get("general.architecture"));
    assertEquals(GgufValue.u32(2), metadata.get("general.quantization_version"));
    assertEquals(GgufValue.u32(fileType), metadata.get("general.file_type"));
  }

  @Test
  void defaultNameIsAsPeopleNameThem() throws IOException {
    Path source = TestModels.write(folder.resolve("model.safetensors"), zImage(), DType.BF16);
    ConversionPlan plan = plan(ConversionRequest.builder(source).gguf(GgufMix.Q4_K_M));
    assertEquals(folder.resolve("model-Q4_K_M.gguf").toAbsolutePath(), plan.target());
    assertFalse(plan.directory());
  }

  @Test
  void refusesWhatAGgufFileCantHold() throws IOException {
    Path source = TestModels.write(folder.resolve("model.safetensors"), zImage(), DType.BF16);
    assertRefused(
        ConversionRequest.builder(source).gguf(GgufMix.Q8_0).allowNonFinite(true),
        "--allow-non-finite");
    assertRefused(
        ConversionRequest.builder(source).gguf(GgufMix.Q8_0).keptDtype(DType.BF16), "--dtype");
    assertRefused(
        ConversionRequest.builder(source).gguf(GgufMix.Q8_0).storage(new AwqStorage()),
        "--format awq");
    assertRefused(
        ConversionRequest.builder(source)
            .schemes(List.of(new SchemeRule("attention.out", QuantSchemes.parse("nf4"))))
            .gguf(GgufMix.Q8_0),
        "--scheme attention.out=nf4");
    assertRefused(
        ConversionRequest.builder(source)
            .gguf(GgufMix.Q8_0)
            .output(folder.resolve("x.safetensors")),
        "name X.gguf");
    assertRefused(
        ConversionRequest.builder(source)
            .scheme(QuantSchemes.parse("nf4"))
            .output(folder.resolve("x.gguf")),
        "--gguf");
    assertRefused(
        ConversionRequest.builder(source)
            .gguf(GgufMix.Q8_0)
            .form(ConversionRequest.OutputForm.DIRECTORY),
        "name X.gguf");
  }

  private static void assertRefused(ConversionRequest.Builder request, String part) {
    var refusal = assertThrows(ConversionException.class, () -> plan(request));
    String message = String.valueOf(refusal.getMessage());
    assertTrue(message.contains(part), message);
    assertEquals(1, message.lines().count());
  }
}
