package dev.nibble.converter.algorithm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.Shape;
import dev.nibble.formats.calibration.CalibrationStats;
import dev.nibble.formats.calibration.InputStatistics;
import dev.nibble.formats.model.Fold;
import dev.nibble.formats.model.ModelFamilies;
import dev.nibble.formats.model.ModelFamily;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

class ScalePlanTest {
  private static final ModelFamily QWEN_IMAGE = ModelFamilies.byId("qwen-image").orElseThrow();
  private static final ModelFamily DECODER = ModelFamilies.byId("qwen-llama").orElseThrow();

  /// Statistics of these layers, the layers of one string sharing their input.
  private record Stats(List<InputStatistics> inputs, Map<String, InputStatistics> modules)
      implements CalibrationStats {
    static Stats recorded(String... groups) {
      List<InputStatistics> inputs = new ArrayList<>();
      Map<String, InputStatistics> modules = new LinkedHashMap<>();
      for (String group : groups) {
        String[] names = group.split(" ", -1);
        InputStatistics input = new TokenInput(names[0], new float[4], 4, false);
        inputs.add(input);
        for (String name : names) {
          modules.put(name, input);
        }
      }
      return new Stats(inputs, modules);
    }

    @Override
    public Optional<InputStatistics> of(String module) {
      return Optional.ofNullable(modules.get(module));
    }
  }

  /// A block of Qwen-Image that is four features wide.
  private static Map<String, Shape> qwenImage() {
    Map<String, Shape> tensors = new LinkedHashMap<>();
    String block = "transformer_blocks.0.";
    for (String stream : List.of("img", "txt")) {
      tensors.put(block + stream + "_mod.1.weight", Shape.of(24, 4));
      tensors.put(block + stream + "_mod.1.bias", Shape.of(24));
      tensors.put(block + stream + "_mlp.net.0.proj.weight", Shape.of(16, 4));
      tensors.put(block + stream + "_mlp.net.2.weight", Shape.of(4, 16));
    }
    for (String layer :
        List.of(
            "to_q",
            "to_k",
            "to_v",
            "add_q_proj",
            "add_k_proj",
            "add_v_proj",
            "to_out.0",
            "to_add_out")) {
      tensors.put(block + "attn." + layer + ".weight", Shape.of(4, 4));
    }
    return tensors;
  }

  private static ScalePlan.Group group(ScalePlan plan, String module) {
    List<ScalePlan.Group> found =
        plan.groups().stream().filter(group -> group.modules().contains(module)).toList();
    assertEquals(1, found.size(), module + " in " + plan);
    return found.getFirst();
  }

  private static final String B = "transformer_blocks.0.";

  private static final Stats QWEN_IMAGE_STATS =
      Stats.recorded(
          B + "img_mod.1 " + B + "txt_mod.1",
          B + "attn.to_q " + B + "attn.to_k " + B + "attn.to_v",
          B + "attn.add_q_proj " + B + "attn.add_k_proj " + B + "attn.add_v_proj",
          B + "attn.to_out.0",
          B + "attn.to_add_out",
          B + "img_mlp.net.0.proj",
          B + "img_mlp.net.2");

  @Test
  void everyLayerIsPlacedOnce() {
    ScalePlan plan = ScalePlan.of(QWEN_IMAGE_STATS, QWEN_IMAGE, qwenImage(), _ -> true);
    ScalePlan.Group query = group(plan, B + "attn.to_q");
    assertEquals(
        new Fold.Modulation(B + "img_mod.1", 1, OptionalInt.of(0), query.modules()),
        query.fold().orElseThrow());
    assertEquals(3, query.modules().size());
    ScalePlan.Group out = group(plan, B + "attn.to_add_out");
    assertInstanceOf(Fold.LinearRows.class, out.fold().orElseThrow());
    assertEquals(List.of(B + "attn.to_out.0", B + "attn.to_add_out"), out.modules());
    assertEquals(
        List.of(B + "attn.to_out.0", B + "attn.to_add_out"),
        out.inputs().stream().map(InputStatistics::name).toList());
    ScalePlan.Group gelu = group(plan, B + "img_mlp.net.2");
    assertTrue(gelu.fold().isEmpty());
    assertEquals("comes out of a GELU, which is not linear", gelu.reason());
    assertEquals(2, group(plan, B + "img_mod.1").modules().size());
    // What was not recorded has no place.
    assertEquals(12, plan.groups().stream().mapToInt(one -> one.modules().size()).sum());
  }

  @Test
  void keptLayersFollowTheQuantizedOnes() {
    ScalePlan plan =
        ScalePlan.of(QWEN_IMAGE_STATS, QWEN_IMAGE, qwenImage(), module -> module.endsWith("to_q"));
    assertEquals(1, plan.groups().size());
    assertEquals(3, group(plan, B + "attn.to_v").modules().size());
  }

  @Test
  void anInputOfStrangersIsNotFolded() {
    Stats shared =
        Stats.recorded(
            B + "attn.to_q " + B + "attn.to_k " + B + "attn.to_v " + B + "img_mlp.net.0.proj");
    ScalePlan plan = ScalePlan.of(shared, QWEN_IMAGE, qwenImage(), _ -> true);
    ScalePlan.Group group = group(plan, B + "attn.to_q");
    assertTrue(group.fold().isEmpty());
    assertEquals("'" + B + "attn.to_q' takes the same input", group.reason());
    assertEquals(4, group.modules().size());
  }

  @Test
  void aConsumerWithoutStatisticsKeepsTheOthersFromFolding() {
    ScalePlan plan =
        ScalePlan.of(Stats.recorded(B + "attn.to_out.0"), QWEN_IMAGE, qwenImage(), _ -> true);
    assertEquals(
        "the input of '" + B + "attn.to_add_out' was not recorded",
        group(plan, B + "attn.to_out.0").reason());
  }

  @Test
  void modulesAreFoundBySpellingsOfTheirClass() {
    Map<String, Shape> tensors = new LinkedHashMap<>();
    String layer = "model.layers.0.";
    tensors.put(layer + "input_layernorm.weight", Shape.of(4));
    tensors.put(layer + "self_attn.q_norm.weight", Shape.of(2));
    tensors.put(layer + "self_attn.q_proj.weight", Shape.of(4, 4));
    tensors.put(layer + "self_attn.k_proj.weight", Shape.of(2, 4));
    tensors.put(layer + "self_attn.v_proj.weight", Shape.of(2, 4));
    tensors.put(layer + "self_attn.o_proj.weight", Shape.of(4, 4));
    String bare = "layers.0.self_attn.";
    Stats stats =
        Stats.recorded(bare + "q_proj " + bare + "k_proj " + bare + "v_proj", bare + "o_proj");
    ScalePlan plan = ScalePlan.of(stats, DECODER, tensors, _ -> true);
    assertEquals(
        new Fold.NormWeight(
            layer + "input_layernorm",
            List.of(
                layer + "self_attn.q_proj",
                layer + "self_attn.k_proj",
                layer + "self_attn.v_proj")),
        group(plan, layer + "self_attn.k_proj").fold().orElseThrow());
    assertEquals(
        "several queries share a head of values", group(plan, layer + "self_attn.o_proj").reason());
  }
}
