package dev.nibble.formats.diffusers;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.quant.GroupedInt;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.storage.GptqStorage;
import java.util.Collection;
import java.util.List;
import java.util.Set;

/// The `quantization_config` of GPTQ and of AWQ, which know one grid a model.
final class GridConfig {
  private GridConfig() {}

  /// @param ordered whether groups follow the order in which columns were rounded
  static ObjectNode gptq(
      GptqStorage storage, Collection<QuantScheme> schemes, List<String> kept, boolean ordered) {
    GroupedInt grid = only(schemes, storage.id());
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("bits", grid.bits());
    json.put("checkpoint_format", storage.id());
    json.put("desc_act", ordered);
    if (!kept.isEmpty()) {
      // "-:" is GPTQModel's sign for a layer that stays as it is; matched from the path's start.
      ObjectNode dynamic = json.putObject("dynamic");
      kept.forEach(path -> dynamic.putObject("-:^" + path.replace(".", "\\.") + "$"));
    }
    json.put("group_size", groupSize(grid));
    json.put("lm_head", false);
    json.putObject("meta").putArray("quantizer").add("nibble");
    json.put("pack_dtype", "int32");
    json.put("quant_method", "gptq");
    json.put("sym", grid.symmetric());
    return json;
  }

  static ObjectNode awq(Collection<QuantScheme> schemes, List<String> kept) {
    GroupedInt grid = only(schemes, "awq");
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("bits", grid.bits());
    json.put("group_size", groupSize(grid));
    if (kept.isEmpty()) {
      json.putNull("modules_to_not_convert");
    } else {
      json.set("modules_to_not_convert", QuantizationConfig.strings(kept));
    }
    json.put("quant_method", "awq");
    json.put("version", "gemm");
    // The zero points are stored in any case, and the kernels subtract them.
    json.put("zero_point", true);
    return json;
  }

  private static int groupSize(GroupedInt grid) {
    return grid.groupSize() == 0 ? -1 : grid.groupSize();
  }

  private static GroupedInt only(Collection<QuantScheme> schemes, String method) {
    Set<QuantScheme> distinct = Set.copyOf(schemes);
    if (distinct.size() == 1 && distinct.iterator().next() instanceof GroupedInt grid) {
      return grid;
    }
    throw new IllegalArgumentException(
        "a directory of " + method + " has one grid, not " + QuantizationConfig.ids(schemes));
  }
}
