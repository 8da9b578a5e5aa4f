package dev.nibble.formats.diffusers;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.DType;
import dev.nibble.formats.internal.PythonJson;
import dev.nibble.formats.internal.TorchDtype;
import dev.nibble.formats.quant.ActivationType;
import dev.nibble.formats.quant.FourBit;
import dev.nibble.formats.quant.LlmInt8;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.storage.AwqStorage;
import dev.nibble.formats.quant.storage.BitsAndBytesStorage;
import dev.nibble.formats.quant.storage.ComfyStorage;
import dev.nibble.formats.quant.storage.CompressedTensorsStorage;
import dev.nibble.formats.quant.storage.GgufStorage;
import dev.nibble.formats.quant.storage.GptqStorage;
import dev.nibble.formats.quant.storage.NibbleStorage;
import dev.nibble.formats.quant.storage.PlainStorage;
import dev.nibble.formats.quant.storage.QuantStorage;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;

/// The `quantization_config` of a `config.json`: what tells diffusers or transformers how to open
/// the weights beside it.
///
/// Sources: diffusers 0.40 and transformers 5.18 `BitsAndBytesConfig.to_dict`, compressed-tensors
/// `QuantizationConfig`, August 2026.
public final class QuantizationConfig {
  private static final String KEY = "quantization_config";

  /// The file in which GPTQ's own tools look for what `config.json` says of it.
  public static final String GPTQ_FILE = "quantize_config.json";

  private QuantizationConfig() {}

  /// Describes a model's quantized layers, whose inputs stay as they are.
  ///
  /// @param storage of all of them
  /// @param modules scheme of each quantized layer by its module path, at least one
  /// @param kept paths of the linear layers that stay as they are
  /// @param computeDtype 16- or 32-bit float that a loader computes 4-bit layers in; empty for
  ///   BF16, and for LLM.int8, which doesn't use it, for what its own tools write
  /// @throws IllegalArgumentException if the storage can't express the schemes in one model
  public static ObjectNode of(
      QuantStorage storage,
      SequencedMap<String, QuantScheme> modules,
      List<String> kept,
      Optional<DType> computeDtype) {
    return of(storage, modules, Map.of(), false, kept, computeDtype);
  }

  /// Describes a model's quantized layers.
  ///
  /// @param inputs what the inputs of some of the layers are rounded to, token by token
  /// @param ordered whether groups of inputs follow an order that an index tells (GPTQ's
  ///   `desc_act`)
  /// @throws IllegalArgumentException if the storage can't express the schemes in one model, or
  ///   rounded inputs, as all but compressed-tensors
  public static ObjectNode of(
      QuantStorage storage,
      SequencedMap<String, QuantScheme> modules,
      Map<String, ActivationType> inputs,
      boolean ordered,
      List<String> kept,
      Optional<DType> computeDtype) {
    if (modules.isEmpty()) {
      throw new IllegalArgumentException("a model without quantized layers has no configuration");
    }
    if (!inputs.isEmpty() && !(storage instanceof CompressedTensorsStorage)) {
      throw new IllegalArgumentException(
          storage.id() + " has no 8-bit inputs: compressed-tensors has");
    }
    return switch (storage) {
      case BitsAndBytesStorage _ -> bitsAndBytes(modules.values(), kept, computeDtype);
      case CompressedTensorsStorage _ -> CompressedTensorsConfig.of(modules, inputs, kept);
      case GptqStorage gptq -> GridConfig.gptq(gptq, modules.values(), kept, ordered);
      case AwqStorage _ -> GridConfig.awq(modules.values(), kept);
      case ComfyStorage _, PlainStorage _ ->
          throw new IllegalArgumentException(storage.id() + " needs no configuration");
      case NibbleStorage own -> nibble(own, modules.values(), kept);
      case GgufStorage _ -> throw new IllegalArgumentException("a GGUF file describes itself");
    };
  }

  /// The text of a `config.json` with that `quantization_config`, formatted as diffusers and
  /// transformers write it: keys sorted, two spaces, a line end.
  ///
  /// @param config the source's configuration; not changed
  public static String merge(ObjectNode config, ObjectNode quantization) {
    return PythonJson.sortedAndIndented(with(config, quantization));
  }

  /// A configuration with that `quantization_config`.
  ///
  /// @param config not changed
  public static ObjectNode with(ObjectNode config, ObjectNode quantization) {
    ObjectNode merged = config.deepCopy();
    merged.set(KEY, quantization);
    return merged;
  }

  /// Files beside a `config.json` that repeat its `quantization_config` for tools that look there,
  /// by name.
  ///
  /// @param config a text of {@link #merge}
  public static Map<String, String> twins(String config) {
    try {
      JsonNode quantization = new ObjectMapper().readTree(config).path(KEY);
      return quantization.path("quant_method").asText().equals("gptq")
          ? Map.of(GPTQ_FILE, PythonJson.sortedAndIndented(quantization))
          : Map.of();
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException("a configuration that is no JSON", e);
    }
  }

  /// The text of a `config.json` whose weights are not quantized, formatted in the same way.
  ///
  /// @param config the source's configuration; not changed
  public static String without(ObjectNode config) {
    ObjectNode plain = config.deepCopy();
    plain.remove(KEY);
    return PythonJson.sortedAndIndented(plain);
  }

  /// Whether a configuration says that its weights are quantized.
  public static boolean isIn(JsonNode config) {
    return config.path(KEY).isObject();
  }

  private static ObjectNode bitsAndBytes(
      Collection<QuantScheme> schemes, List<String> kept, Optional<DType> computeDtype) {
    boolean eight = schemes.stream().allMatch(LlmInt8.class::isInstance);
    if (!eight && !schemes.stream().allMatch(FourBit.class::isInstance)) {
      throw new IllegalArgumentException(
          "a bitsandbytes model is either 4-bit or 8-bit, not " + ids(schemes));
    }
    // What 4-bit weights say of themselves goes before these defaults, so they may be mixed.
    Optional<FourBit> four = eight ? Optional.empty() : Optional.of((FourBit) mostCommon(schemes));
    DType compute = computeDtype.orElse(eight ? DType.F32 : DType.BF16);
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("_load_in_4bit", !eight);
    json.put("_load_in_8bit", eight);
    json.put("bnb_4bit_compute_dtype", TorchDtype.name(compute));
    json.put("bnb_4bit_quant_storage", "uint8");
    json.put(
        "bnb_4bit_quant_type",
        four.map(scheme -> scheme.type().name().toLowerCase(Locale.ROOT)).orElse("fp4"));
    json.put("bnb_4bit_use_double_quant", four.map(FourBit::doubleQuant).orElse(false));
    json.put("llm_int8_enable_fp32_cpu_offload", false);
    json.put("llm_int8_has_fp16_weight", false);
    if (kept.isEmpty()) {
      // Not an empty list, which in transformers would also convert a tied output embedding.
      json.putNull("llm_int8_skip_modules");
    } else {
      json.set("llm_int8_skip_modules", strings(kept));
    }
    json.put("llm_int8_threshold", 6.0);
    json.put("load_in_4bit", !eight);
    json.put("load_in_8bit", eight);
    json.put("quant_method", "bitsandbytes");
    return json;
  }

  private static QuantScheme mostCommon(Collection<QuantScheme> schemes) {
    Map<QuantScheme, Integer> counts = new LinkedHashMap<>();
    schemes.forEach(scheme -> counts.merge(scheme, 1, Integer::sum));
    QuantScheme best = schemes.iterator().next();
    for (Map.Entry<QuantScheme, Integer> entry : counts.entrySet()) {
      if (entry.getValue() > counts.getOrDefault(best, 0)) {
        best = entry.getKey();
      }
    }
    return best;
  }

  private static ObjectNode nibble(
      NibbleStorage storage, Collection<QuantScheme> schemes, List<String> kept) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.set("modules_to_not_convert", strings(kept));
    json.put("quant_method", storage.id());
    json.set("schemes", strings(schemes.stream().map(QuantScheme::id).distinct().toList()));
    json.put("version", NibbleStorage.VERSION);
    return json;
  }

  static String ids(Collection<QuantScheme> schemes) {
    return String.join(" and ", schemes.stream().map(QuantScheme::id).distinct().toList());
  }

  static ArrayNode strings(List<String> texts) {
    ArrayNode array = JsonNodeFactory.instance.arrayNode();
    texts.forEach(array::add);
    return array;
  }
}
