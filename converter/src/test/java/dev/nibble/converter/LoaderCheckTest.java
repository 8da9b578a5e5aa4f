package dev.nibble.converter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.model.ModelFamilies;
import dev.nibble.formats.model.Recognition;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Skip lists made from the names of a file, read with the module paths of the real classes.
class LoaderCheckTest {
  @ParameterizedTest
  @CsvSource({
    "qwen25-vl, v_proj",
    "qwen25-vl, visual",
    "qwen3-causal, layers.0",
    "qwen3-causal-untied, down_proj",
    "qwen3-model, layers.1.mlp",
    "llama-causal, v_proj",
    "t5-encoder, SelfAttention.o",
    "umt5-encoder, wi_0",
    "clip-text, fc1",
    "clip-text-projection, fc2"
  })
  void theClassLeavesExactlyTheKeptLayersInFloat(String id, String skip) throws IOException {
    JsonNode golden =
        new ObjectMapper().readTree(Fixtures.path("goldens/linears/" + id + ".json").toFile());
    Map<String, String> linears = linears(golden);
    List<String> quantized = new ArrayList<>();
    List<String> kept = new ArrayList<>();
    Set<String> expected = new TreeSet<>();
    for (Map.Entry<String, String> linear : linears.entrySet()) {
      boolean byLibrary =
          !golden.get("tensors").get(linear.getKey() + ".weight").get("quantized").booleanValue();
      if (byLibrary || SkipRules.matches(skip, linear.getValue())) {
        kept.add(linear.getValue());
        expected.add(linear.getKey());
      } else {
        quantized.add(linear.getValue());
      }
    }
    assertTrue(!kept.isEmpty() && !quantized.isEmpty(), id);

    Set<String> saved = new TreeSet<>();
    golden.get("tensors").fieldNames().forEachRemaining(name -> saved.add(saved(golden, name)));
    Recognition model = ModelFamilies.recognise(saved);
    assertNotEquals("unknown", model.family().id());
    LoaderCheck check =
        new LoaderCheck(
            id, quantized, kept, model.spellings(), model.family().listedWithoutTensor());
    for (LoaderRules rule : List.of(LoaderRules.TRANSFORMERS_4, LoaderRules.TRANSFORMERS_5)) {
      check.require(rule, List.of());
      Predicate<String> left = rule.leavesInFloat(check.skipList());
      Set<String> found = new TreeSet<>(linears.keySet().stream().filter(left).toList());
      assertEquals(expected, found, rule.label());
    }
  }

  /// Module paths of the linear layers: of the class, and as `save_pretrained` writes them.
  private static Map<String, String> linears(JsonNode golden) {
    Map<String, String> linears = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> tensor : golden.get("tensors").properties()) {
      if (tensor.getKey().endsWith(".weight")
          && tensor.getValue().get("module").textValue().equals("Linear")) {
        String module = LayerDecisions.module(tensor.getKey());
        linears.put(module, saved(golden, module));
      }
    }
    return linears;
  }

  private static String saved(JsonNode golden, String name) {
    for (JsonNode pair : golden.path("saved_under_other_prefix")) {
      if (name.startsWith(pair.get(0).textValue())) {
        return pair.get(1).textValue() + name.substring(pair.get(0).textValue().length());
      }
    }
    return name;
  }
}
