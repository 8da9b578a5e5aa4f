package dev.nibble.formats.diffusers;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.DType;
import dev.nibble.formats.internal.PythonJson;
import dev.nibble.formats.internal.TorchDtype;
import dev.nibble.formats.quant.AbsmaxInt8;
import dev.nibble.formats.quant.AffineInt8;
import dev.nibble.formats.quant.FourBit;
import dev.nibble.formats.quant.LlmInt8;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.storage.BitsAndBytesStorage;
import dev.nibble.formats.quant.storage.CompressedTensorsStorage;
import dev.nibble.formats.quant.storage.GgufStorage;
import dev.nibble.formats.quant.storage.NibbleStorage;
import dev.nibble.formats.quant.storage.QuantStorage;
import java.util.ArrayList;
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

  private QuantizationConfig() {}

  /// Describes a model's quantized layers.
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
    if (modules.isEmpty()) {
      throw new IllegalArgumentException("a model without quantized layers has no configuration");
    }
    return switch (storage) {
      case BitsAndBytesStorage _ -> bitsAndBytes(modules.values(), kept, computeDtype);
      case CompressedTensorsStorage _ -> compressedTensors(modules, kept);
      case NibbleStorage own -> nibble(own, modules.values(), kept);
      case GgufStorage _ -> throw new IllegalArgumentException("a GGUF file describes itself");
    };
  }

  /// The text of a `config.json` with that `quantization_config`, formatted as diffusers and
  /// transformers write it: keys sorted, two spaces, a line end.
  ///
  /// @param config the source's configuration; not changed
  public static String merge(ObjectNode config, ObjectNode quantization) {
    ObjectNode merged = config.deepCopy();
    merged.set(KEY, quantization);
    return PythonJson.sortedAndIndented(merged);
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

  private static ObjectNode compressedTensors(
      SequencedMap<String, QuantScheme> modules, List<String> kept) {
    Map<QuantScheme, List<String>> groups = new LinkedHashMap<>();
    modules.forEach(
        (module, scheme) -> groups.computeIfAbsent(scheme, _ -> new ArrayList<>()).add(module));
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    ObjectNode configGroups = json.putObject("config_groups");
    int index = 0;
    for (Map.Entry<QuantScheme, List<String>> group : groups.entrySet()) {
      // One scheme is for all linear layers but the ignored; of several each lists its own.
      List<String> targets = groups.size() == 1 ? List.of("Linear") : group.getValue();
      configGroups.set("group_" + index++, group(group.getKey(), targets));
    }
    json.put("format", "int-quantized");
    json.putNull("global_compression_ratio");
    json.set("ignore", strings(kept));
    json.putNull("kv_cache_scheme");
    json.put("quant_method", "compressed-tensors");
    json.put("quantization_status", "compressed");
    return json;
  }

  private static ObjectNode group(QuantScheme scheme, List<String> targets) {
    ObjectNode group = JsonNodeFactory.instance.objectNode();
    // Left to itself the library takes weight-only int8 for its packed format.
    group.put("format", "int-quantized");
    group.putNull("input_activations");
    group.putNull("output_activations");
    group.set("targets", strings(targets));
    group.set("weights", weights(scheme));
    return group;
  }

  private static ObjectNode weights(QuantScheme scheme) {
    int blockSize =
        switch (scheme) {
          case AbsmaxInt8 absmax -> absmax.blockSize();
          case AffineInt8 affine -> affine.blockSize();
          default -> throw new IllegalArgumentException("compressed-tensors has no " + scheme.id());
        };
    ObjectNode weights = JsonNodeFactory.instance.objectNode();
    weights.putNull("actorder");
    weights.putNull("block_structure");
    weights.put("dynamic", false);
    if (blockSize == 0) {
      weights.putNull("group_size");
    } else {
      weights.put("group_size", blockSize);
    }
    weights.put("num_bits", 8);
    weights.put("observer", "minmax");
    weights.putObject("observer_kwargs");
    weights.put("strategy", blockSize == 0 ? "channel" : "group");
    weights.put("symmetric", scheme instanceof AbsmaxInt8);
    weights.put("type", "int");
    return weights;
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

  private static String ids(Collection<QuantScheme> schemes) {
    return String.join(" and ", schemes.stream().map(QuantScheme::id).distinct().toList());
  }

  private static ArrayNode strings(List<String> texts) {
    ArrayNode array = JsonNodeFactory.instance.arrayNode();
    texts.forEach(array::add);
    return array;
  }
}
