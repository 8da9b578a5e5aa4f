package dev.nibble.formats.diffusers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.DType;
import dev.nibble.formats.quant.AbsmaxInt8;
import dev.nibble.formats.quant.ActivationType;
import dev.nibble.formats.quant.AffineInt8;
import dev.nibble.formats.quant.DynamicInt8;
import dev.nibble.formats.quant.FourBit;
import dev.nibble.formats.quant.FourBitType;
import dev.nibble.formats.quant.Fp8;
import dev.nibble.formats.quant.Fp8Type;
import dev.nibble.formats.quant.LlmInt8;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.storage.BitsAndBytesStorage;
import dev.nibble.formats.quant.storage.CompressedTensorsStorage;
import dev.nibble.formats.quant.storage.NibbleStorage;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class QuantizationConfigTest {
  private static final FourBit NF4 = new FourBit(FourBitType.NF4, 64, true);
  private static final FourBit PLAIN = new FourBit(FourBitType.NF4, 128, false);

  private static SequencedMap<String, QuantScheme> modules(QuantScheme... schemes) {
    SequencedMap<String, QuantScheme> modules = new LinkedHashMap<>();
    for (QuantScheme scheme : schemes) {
      modules.put("layers." + modules.size() + ".proj", scheme);
    }
    return modules;
  }

  /// The whole file is what diffusers 0.40 saved for a Qwen-Image transformer quantized with
  /// `BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4",
  /// bnb_4bit_compute_dtype=torch.bfloat16, llm_int8_skip_modules=["img_mod"])`, less its
  /// `_name_or_path`.
  @Test
  void fileIsWhatDiffusersSaves() throws JsonProcessingException {
    String expected =
        """
        {
          "_class_name": "QwenImageTransformer2DModel",
          "_diffusers_version": "0.40.0.dev0",
          "attention_head_dim": 64,
          "axes_dims_rope": [
            16,
            24,
            24
          ],
          "guidance_embeds": false,
          "norm_eps": 1e-05,
          "quantization_config": {
            "_load_in_4bit": true,
            "_load_in_8bit": false,
            "bnb_4bit_compute_dtype": "bfloat16",
            "bnb_4bit_quant_storage": "uint8",
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": false,
            "llm_int8_enable_fp32_cpu_offload": false,
            "llm_int8_has_fp16_weight": false,
            "llm_int8_skip_modules": [
              "img_mod"
            ],
            "llm_int8_threshold": 6.0,
            "load_in_4bit": true,
            "load_in_8bit": false,
            "quant_method": "bitsandbytes"
          },
          "siglip_feat_dim": null,
          "t_scale": 1000.0
        }
        """;
    ObjectNode source = (ObjectNode) new ObjectMapper().readTree(expected);
    source.remove("quantization_config");
    assertFalse(QuantizationConfig.isIn(source));
    ObjectNode quantization =
        QuantizationConfig.of(
            new BitsAndBytesStorage(), modules(PLAIN), List.of("img_mod"), Optional.empty());
    String merged = QuantizationConfig.merge(source, quantization);
    assertEquals(expected, merged);
    assertTrue(QuantizationConfig.isIn(new ObjectMapper().readTree(merged)));
    assertFalse(QuantizationConfig.isIn(source), "the source's own stays as it was");
  }

  /// What diffusers and transformers saved for `load_in_8bit=True`.
  @Test
  void llmInt8HasTheDefaultsOfItsTools() throws JsonProcessingException {
    String expected =
        """
        {"_load_in_4bit": false, "_load_in_8bit": true, "bnb_4bit_compute_dtype": "float32",
         "bnb_4bit_quant_storage": "uint8", "bnb_4bit_quant_type": "fp4",
         "bnb_4bit_use_double_quant": false, "llm_int8_enable_fp32_cpu_offload": false,
         "llm_int8_has_fp16_weight": false, "llm_int8_skip_modules": null,
         "llm_int8_threshold": 6.0, "load_in_4bit": false, "load_in_8bit": true,
         "quant_method": "bitsandbytes"}
        """;
    JsonNode found =
        QuantizationConfig.of(
            new BitsAndBytesStorage(), modules(new LlmInt8()), List.of(), Optional.empty());
    assertEquals(new ObjectMapper().readTree(expected), found);
    assertTrue(found.get("llm_int8_threshold").isDouble());
  }

  @Test
  void mixedFourBitTakesTheMostCommonAndTheWishedComputeType() {
    JsonNode found =
        QuantizationConfig.of(
            new BitsAndBytesStorage(), modules(PLAIN, NF4, NF4), List.of(), Optional.of(DType.F16));
    assertTrue(found.get("bnb_4bit_use_double_quant").booleanValue());
    assertEquals("float16", found.get("bnb_4bit_compute_dtype").textValue());
  }

  @Test
  void bitsAndBytesIsNotBothWidths() {
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class,
            () ->
                QuantizationConfig.of(
                    new BitsAndBytesStorage(),
                    modules(NF4, new LlmInt8()),
                    List.of(),
                    Optional.empty()));
    assertTrue(String.valueOf(refused.getMessage()).contains("nf4 and int8"));
  }

  @Test
  void compressedTensorsNamesItsGroups() throws JsonProcessingException {
    String expected =
        """
        {"config_groups": {
           "group_0": {"format": "int-quantized", "input_activations": null,
             "output_activations": null, "targets": ["layers.0.proj", "layers.2.proj"],
             "weights": {"actorder": null, "block_structure": null, "dynamic": false,
               "group_size": null, "num_bits": 8, "observer": "minmax", "observer_kwargs": {},
               "strategy": "channel", "symmetric": true, "type": "int"}},
           "group_1": {"format": "int-quantized", "input_activations": null,
             "output_activations": null, "targets": ["layers.1.proj"],
             "weights": {"actorder": null, "block_structure": null, "dynamic": false,
               "group_size": 64, "num_bits": 8, "observer": "minmax", "observer_kwargs": {},
               "strategy": "group", "symmetric": false, "type": "int"}}},
         "format": "int-quantized", "global_compression_ratio": null, "ignore": ["lm_head"],
         "kv_cache_scheme": null, "quant_method": "compressed-tensors",
         "quantization_status": "compressed"}
        """;
    AbsmaxInt8 rows = new AbsmaxInt8(0);
    JsonNode found =
        QuantizationConfig.of(
            new CompressedTensorsStorage(),
            modules(rows, new AffineInt8(64), rows),
            List.of("lm_head"),
            Optional.empty());
    assertEquals(new ObjectMapper().readTree(expected).toString(), found.toString());
    JsonNode single =
        QuantizationConfig.of(
            new CompressedTensorsStorage(), modules(rows), List.of(), Optional.empty());
    assertEquals("[\"Linear\"]", single.at("/config_groups/group_0/targets").toString());
  }

  /// The presets INT8 and FP8_DYNAMIC, as compressed-tensors itself writes them.
  @ParameterizedTest
  @ValueSource(strings = {"INT8", "FP8_DYNAMIC"})
  void roundedInputsAreThoseOfThePresets(String preset) throws IOException {
    JsonNode golden =
        new ObjectMapper()
            .readTree(Fixtures.path("goldens/compressed_tensors/presets.json").toFile())
            .get(preset);
    boolean whole = preset.equals("INT8");
    QuantScheme scheme =
        whole ? new AbsmaxInt8(0) : new Fp8(Fp8Type.E4M3, Fp8.Scaling.ROW, DType.BF16);
    ActivationType type = whole ? ActivationType.INT8 : ActivationType.FP8_E4M3;
    ObjectNode found =
        QuantizationConfig.of(
            new CompressedTensorsStorage(),
            modules(scheme),
            Map.of("layers.0.proj", type),
            false,
            List.of("proj_out"),
            Optional.empty());
    // The library leaves a group's format open until it has compressed.
    ((ObjectNode) golden.at("/config_groups/group_0")).set("format", found.get("format"));
    assertEquals(golden, found);
    ObjectNode model = new ObjectMapper().createObjectNode();
    model.set("quantization_config", found);
    ActivationRules rules = ActivationRules.of(model);
    assertEquals(Optional.of(type), rules.of("layers.0.proj"));
    assertEquals(Optional.empty(), rules.of("proj_out"));
  }

  @Test
  void layersOfOneSchemeMayDifferInTheirInputs() {
    AbsmaxInt8 rows = new AbsmaxInt8(0);
    JsonNode groups =
        QuantizationConfig.of(
                new CompressedTensorsStorage(),
                modules(rows, rows, rows),
                Map.of("layers.1.proj", ActivationType.INT8),
                false,
                List.of(),
                Optional.empty())
            .get("config_groups");
    assertEquals("[\"layers.0.proj\",\"layers.2.proj\"]", groups.at("/group_0/targets").toString());
    assertTrue(groups.at("/group_0/input_activations").isNull());
    assertEquals("[\"layers.1.proj\"]", groups.at("/group_1/targets").toString());
    assertEquals("token", groups.at("/group_1/input_activations/strategy").asText());
  }

  @Test
  void otherStoragesHaveNoRoundedInputs() {
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class,
            () ->
                QuantizationConfig.of(
                    new BitsAndBytesStorage(),
                    modules(new LlmInt8()),
                    Map.of("layers.0.proj", ActivationType.INT8),
                    false,
                    List.of(),
                    Optional.empty()));
    assertTrue(String.valueOf(refused.getMessage()).contains("compressed-tensors has"));
  }

  @Test
  void nibblesOwnNamesItsSchemes() {
    assertEquals(
        "{\"modules_to_not_convert\":[\"a\"],\"quant_method\":\"nibble\","
            + "\"schemes\":[\"bnb8-dynamic:256\",\"absmax8\"],\"version\":1}",
        QuantizationConfig.of(
                new NibbleStorage(),
                modules(new DynamicInt8(256), new AbsmaxInt8(0), new DynamicInt8(256)),
                List.of("a"),
                Optional.empty())
            .toString());
  }

  @Test
  void nothingQuantizedHasNoConfiguration() {
    assertThrows(
        IllegalArgumentException.class,
        () -> QuantizationConfig.of(new NibbleStorage(), modules(), List.of(), Optional.empty()));
  }
}
