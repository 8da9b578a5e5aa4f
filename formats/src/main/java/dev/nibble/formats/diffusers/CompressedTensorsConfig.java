package dev.nibble.formats.diffusers;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.quant.AbsmaxInt8;
import dev.nibble.formats.quant.ActivationType;
import dev.nibble.formats.quant.AffineInt8;
import dev.nibble.formats.quant.Fp8;
import dev.nibble.formats.quant.GroupedInt;
import dev.nibble.formats.quant.QuantScheme;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.Set;
import java.util.stream.Collectors;

/// The `quantization_config` of compressed-tensors.
final class CompressedTensorsConfig {
  private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

  private CompressedTensorsConfig() {}

  /// What the layers of a group have in common.
  private record Kind(QuantScheme scheme, Optional<ActivationType> inputs) {}

  static ObjectNode of(
      SequencedMap<String, QuantScheme> modules,
      Map<String, ActivationType> inputs,
      List<String> kept) {
    Map<Kind, List<String>> groups = new LinkedHashMap<>();
    modules.forEach((module, scheme) -> {
      Kind kind = new Kind(scheme, Optional.ofNullable(inputs.get(module)));
      groups.computeIfAbsent(kind, _ -> new ArrayList<>()).add(module);
    });
    ObjectNode json = JSON.objectNode();
    ObjectNode configGroups = json.putObject("config_groups");
    int index = 0;
    for (Map.Entry<Kind, List<String>> group : groups.entrySet()) {
      // One kind is for all linear layers but the ignored; of several each lists its own.
      List<String> targets = groups.size() == 1 ? List.of("Linear") : group.getValue();
      configGroups.set("group_" + index++, group(group.getKey(), targets));
    }
    Set<String> formats =
        groups.keySet().stream().map(kind -> format(kind.scheme())).collect(Collectors.toSet());
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

  private static ObjectNode group(Kind kind, List<String> targets) {
    ObjectNode group = JSON.objectNode();
    // Left to itself the library takes weight-only int8 for its packed format.
    group.put("format", format(kind.scheme()));
    if (kind.inputs().isPresent()) {
      group.set("input_activations", inputs(kind.inputs().get()));
    } else {
      group.putNull("input_activations");
    }
    group.putNull("output_activations");
    group.set("targets", QuantizationConfig.strings(targets));
    group.set("weights", weights(kind.scheme()));
    return group;
  }

  /// As in the library's presets INT8 and FP8_DYNAMIC: a scale a token, found as it comes.
  private static ObjectNode inputs(ActivationType type) {
    String number =
        switch (type) {
          case INT8 -> "int";
          case FP8_E4M3 -> "float";
        };
    ObjectNode inputs = arguments(8, number, true, "token", 0);
    inputs.put("dynamic", true);
    inputs.putNull("observer");
    return inputs;
  }

  private static ObjectNode weights(QuantScheme scheme) {
    return switch (scheme) {
      case AbsmaxInt8 absmax ->
          arguments(8, "int", true, strategy(absmax.blockSize()), absmax.blockSize());
      case AffineInt8 affine ->
          arguments(8, "int", false, strategy(affine.blockSize()), affine.blockSize());
      case GroupedInt grouped ->
          arguments(
              grouped.bits(),
              "int",
              grouped.symmetric(),
              strategy(grouped.groupSize()),
              grouped.groupSize());
      case Fp8 fp8 ->
          arguments(
              8, "float", true, fp8.scaling() == Fp8.Scaling.TENSOR ? "tensor" : "channel", 0);
      default -> throw new IllegalArgumentException("compressed-tensors has no " + scheme.id());
    };
  }

  private static String strategy(int groupSize) {
    return groupSize == 0 ? "channel" : "group";
  }

  private static ObjectNode arguments(
      int bits, String type, boolean symmetric, String strategy, int groupSize) {
    ObjectNode arguments = JSON.objectNode();
    arguments.putNull("actorder");
    arguments.putNull("block_structure");
    arguments.put("dynamic", false);
    if (groupSize == 0) {
      arguments.putNull("group_size");
    } else {
      arguments.put("group_size", groupSize);
    }
    arguments.put("num_bits", bits);
    arguments.put("observer", "minmax");
    arguments.putObject("observer_kwargs");
    arguments.put("strategy", strategy);
    arguments.put("symmetric", symmetric);
    arguments.put("type", type);
    return arguments;
  }
}
