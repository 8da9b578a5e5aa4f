package dev.nibble.formats.diffusers;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.quant.AbsmaxInt8;
import dev.nibble.formats.quant.AffineInt8;
import dev.nibble.formats.quant.Fp8;
import dev.nibble.formats.quant.GroupedInt;
import dev.nibble.formats.quant.QuantScheme;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.stream.Collectors;

/// The `quantization_config` of compressed-tensors.
final class CompressedTensorsConfig {
  private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

  private CompressedTensorsConfig() {}

  static ObjectNode of(SequencedMap<String, QuantScheme> modules, List<String> kept) {
    Map<QuantScheme, List<String>> groups = new LinkedHashMap<>();
    modules.forEach(
        (module, scheme) -> groups.computeIfAbsent(scheme, _ -> new ArrayList<>()).add(module));
    ObjectNode json = JSON.objectNode();
    ObjectNode configGroups = json.putObject("config_groups");
    int index = 0;
    for (Map.Entry<QuantScheme, List<String>> group : groups.entrySet()) {
      // One scheme is for all linear layers but the ignored; of several each lists its own.
      List<String> targets = groups.size() == 1 ? List.of("Linear") : group.getValue();
      configGroups.set("group_" + index++, group(group.getKey(), targets));
    }
    Set<String> formats =
        groups.keySet().stream().map(CompressedTensorsConfig::format).collect(Collectors.toSet());
    json.put("format", formats.size() == 1 ? formats.iterator().next() : "mixed-precision");
    json.putNull("global_compression_ratio");
    json.set("ignore", QuantizationConfig.strings(kept));
    json.putNull("kv_cache_scheme");
    json.put("quant_method", "compressed-tensors");
    json.put("quantization_status", "compressed");
    return json;
  }

  private static String format(QuantScheme scheme) {
    return switch (scheme) {
      case AbsmaxInt8 _, AffineInt8 _ -> "int-quantized";
      case GroupedInt _ -> "pack-quantized";
      case Fp8 _ -> "float-quantized";
      default -> throw new IllegalArgumentException("compressed-tensors has no " + scheme.id());
    };
  }

  private static ObjectNode group(QuantScheme scheme, List<String> targets) {
    ObjectNode group = JSON.objectNode();
    // Left to itself the library takes weight-only int8 for its packed format.
    group.put("format", format(scheme));
    group.putNull("input_activations");
    group.putNull("output_activations");
    group.set("targets", QuantizationConfig.strings(targets));
    group.set("weights", weights(scheme));
    return group;
  }

  private static ObjectNode weights(QuantScheme scheme) {
    return switch (scheme) {
      case AbsmaxInt8 absmax ->
          weights(8, "int", true, strategy(absmax.blockSize()), absmax.blockSize());
      case AffineInt8 affine ->
          weights(8, "int", false, strategy(affine.blockSize()), affine.blockSize());
      case GroupedInt grouped ->
          weights(
              grouped.bits(),
              "int",
              grouped.symmetric(),
              strategy(grouped.groupSize()),
              grouped.groupSize());
      case Fp8 fp8 ->
          weights(8, "float", true, fp8.scaling() == Fp8.Scaling.TENSOR ? "tensor" : "channel", 0);
      default -> throw new IllegalArgumentException("compressed-tensors has no " + scheme.id());
    };
  }

  private static String strategy(int groupSize) {
    return groupSize == 0 ? "channel" : "group";
  }

  private static ObjectNode weights(
      int bits, String type, boolean symmetric, String strategy, int groupSize) {
    ObjectNode weights = JSON.objectNode();
    weights.putNull("actorder");
    weights.putNull("block_structure");
    weights.put("dynamic", false);
    if (groupSize == 0) {
      weights.putNull("group_size");
    } else {
      weights.put("group_size", groupSize);
    }
    weights.put("num_bits", bits);
    weights.put("observer", "minmax");
    weights.putObject("observer_kwargs");
    weights.put("strategy", strategy);
    weights.put("symmetric", symmetric);
    weights.put("type", type);
    return weights;
  }
}
