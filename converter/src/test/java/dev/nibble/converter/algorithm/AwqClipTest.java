package dev.nibble.converter.algorithm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AwqClipTest {
  private static final SearchOptions OPTIONS = SearchOptions.DEFAULT;

  private static float[] ones() {
    float[] ones = new float[AwqGolden.COLUMNS];
    Arrays.fill(ones, 1);
    return ones;
  }

  @ParameterizedTest
  @ValueSource(strings = {"g128", "g64_step2", "g32", "g128_scaled"})
  void cutsWhereAutoAwqCuts(String key) {
    JsonNode golden = AwqGolden.golden("clip_manifest.json", key);
    int group = golden.get("group").asInt();
    float[] scales =
        golden.get("scaled").asBoolean()
            ? AwqGolden.values("awq.quant.safetensors", "duo.search.scale")
            : ones();
    ClipChoice choice =
        AwqClip.search(
            AwqGolden.layer("int4:g" + group + ":asym:f32", false),
            scales,
            golden.get("n_sample_token").asInt(),
            OPTIONS);
    float[] expected = AwqGolden.values("clip.safetensors", key + ".limits");
    assertEquals(group, choice.groupSize());
    assertEquals(expected.length, choice.limits().length);
    int equal = 0;
    for (int i = 0; i < expected.length; i++) {
      equal += Math.abs(choice.limits()[i] - expected[i]) <= 1e-5 * expected[i] ? 1 : 0;
    }
    // Two shrinks may lose the same but for rounding.
    assertTrue(equal >= 0.995 * expected.length, equal + " of " + expected.length);
    double error = golden.get("error").asDouble();
    assertEquals(error, choice.loss(), 1e-3 * error);
    double without = golden.get("error_without").asDouble();
    assertEquals(without, choice.plainLoss(), 1e-3 * without);
  }

  @ParameterizedTest
  @ValueSource(strings = {"nf4", "int4:row", "int8:g64", "fp8:row"})
  void neverLosesMoreThanWithoutLimits(String scheme) {
    ClipChoice choice = AwqClip.search(AwqGolden.layer(scheme, false), ones(), OPTIONS);
    assertTrue(choice.loss() <= choice.plainLoss());
    float[] cut = AwqGolden.WEIGHT.clone();
    choice.apply(0, AwqGolden.ROWS, AwqGolden.COLUMNS, cut);
    for (int i = 0; i < cut.length; i++) {
      float limit = choice.limits()[i / choice.groupSize()];
      assertTrue(Math.abs(cut[i]) <= limit);
      assertTrue(cut[i] == AwqGolden.WEIGHT[i] || Math.abs(cut[i]) == limit);
    }
  }

  @Test
  void rowsAreCutAsTheWholeIs() {
    ClipChoice choice = AwqClip.search(AwqGolden.layer("int4:g32", false), ones(), OPTIONS);
    float[] whole = AwqGolden.WEIGHT.clone();
    choice.apply(0, AwqGolden.ROWS, AwqGolden.COLUMNS, whole);
    int from = 37 * AwqGolden.COLUMNS;
    float[] rows = Arrays.copyOfRange(AwqGolden.WEIGHT, from, from + 5 * AwqGolden.COLUMNS);
    choice.apply(37, 5, AwqGolden.COLUMNS, rows);
    assertArrayEquals(Arrays.copyOfRange(whole, from, from + rows.length), rows);
  }

  @Test
  void leavesQueriesAndKeysAlone() {
    for (String module :
        new String[] {
          "layers.0.attention.to_q",
          "layers.0.attention.to_k",
          "blocks.1.attn.add_q_proj",
          "blocks.1.attn.add_k_proj",
          "model.layers.2.self_attn.q_proj",
          "h.0.query_key_value",
          "attn.Wqkv",
          "layers.0.attention.qkv"
        }) {
      assertFalse(AwqClip.suits(module), module);
    }
    for (String module :
        new String[] {
          "layers.0.attention.to_v", "attn.to_out.0", "attn.add_v_proj", "mlp.down_proj"
        }) {
      assertTrue(AwqClip.suits(module), module);
    }
  }
}
