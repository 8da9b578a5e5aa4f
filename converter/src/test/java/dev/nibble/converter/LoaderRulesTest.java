package dev.nibble.converter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// The rules against the verdicts of the libraries' own code (goldens/linears/skip_rules.json).
class LoaderRulesTest {
  record Verdict(List<String> list, String path, JsonNode golden) {}

  static List<Verdict> verdicts() throws IOException {
    JsonNode root =
        new ObjectMapper().readTree(Fixtures.path("goldens/linears/skip_rules.json").toFile());
    List<Verdict> verdicts = new ArrayList<>();
    for (JsonNode pair : root.get("pairs")) {
      List<String> list = new ArrayList<>();
      pair.get("skip").forEach(entry -> list.add(entry.textValue()));
      verdicts.add(new Verdict(list, pair.get("path").textValue(), pair));
    }
    assertTrue(verdicts.size() > 100);
    return verdicts;
  }

  @ParameterizedTest
  @MethodSource("verdicts")
  void agreesWithTheLibraries(Verdict verdict) {
    check(LoaderRules.DIFFUSERS, "diffusers_skips", verdict);
    check(LoaderRules.TRANSFORMERS_4, "transformers4_skips", verdict);
    check(LoaderRules.TRANSFORMERS_5, "transformers_skips", verdict);
  }

  private static void check(LoaderRules rule, String field, Verdict verdict) {
    JsonNode expected = verdict.golden().get(field);
    // A text says which error the library raised: then there is no verdict to compare, and ours is
    // that nothing was skipped.
    assertEquals(
        expected.isBoolean() && expected.booleanValue(),
        rule.leavesInFloat(verdict.list()).test(verdict.path()),
        () -> rule.label() + ": " + verdict.list() + " on " + verdict.path());
  }

  @Test
  void awqTakesPartsOfPaths() {
    Predicate<String> left = LoaderRules.AWQ.leavesInFloat(List.of("proj_out", "lm_head"));
    assertTrue(left.test("proj_out"));
    assertTrue(left.test("single_transformer_blocks.0.proj_out"));
    assertFalse(left.test("proj_in"));
  }

  @Test
  void compressedTensorsTakesNamesAndMarkedExpressions() {
    Predicate<String> ignored =
        LoaderRules.COMPRESSED_TENSORS.leavesInFloat(List.of("lm_head", "re:.*\\.down_proj$"));
    assertTrue(ignored.test("lm_head"));
    assertFalse(ignored.test("model.lm_head"));
    assertTrue(ignored.test("model.layers.0.mlp.down_proj"));
    assertFalse(ignored.test("model.layers.0.mlp.up_proj"));
    assertTrue(LoaderRules.COMPRESSED_TENSORS.leavesInFloat(List.of("Linear")).test("any.layer"));
  }
}
