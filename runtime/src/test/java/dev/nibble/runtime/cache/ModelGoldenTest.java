package dev.nibble.runtime.cache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.runtime.Goldens;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Whole runs of the trained miniatures under diffusers' hooks and cache-dit: which steps were
/// computed, by which differences, and the latents that came of it.
class ModelGoldenTest {
  private static Goldens.File tensors;
  private static GoldenModels models;

  @BeforeAll
  static void load() throws IOException {
    tensors = Goldens.tensors("goldens/cache/cache_models.safetensors");
    models = new GoldenModels(tensors);
  }

  @AfterAll
  static void close() {
    models.close();
  }

  static Stream<String> runs() {
    return CacheGoldens.cases("models").map(entry -> entry.get("id").asText());
  }

  @Test
  void thereAreAllCases() {
    assertEquals(141, runs().count());
  }

  @ParameterizedTest
  @MethodSource("runs")
  void runsAsUnderThePeer(String id) throws IOException {
    JsonNode golden = CacheGoldens.find("models", id);
    GoldenModels.Run run = models.run(golden, CacheGoldens.rule(golden));
    for (var branch : golden.get("branches").properties()) {
      checkDecisions(golden, branch.getValue(), side(golden, branch.getKey()), run.decisions());
    }
    checkLatents(golden, run.latents());
  }

  /// With `cfg_compute_first` the peer takes the first call of a step, which is the prompt's, for
  /// the negative one's.
  static GuidanceBranch side(JsonNode golden, String branch) {
    boolean swapped = golden.get("config").path("cfg_compute_first").asBoolean(false);
    return branch.equals("cond") != swapped
        ? GuidanceBranch.CONDITIONAL
        : GuidanceBranch.UNCONDITIONAL;
  }

  private static void checkDecisions(
      JsonNode golden, JsonNode branch, GuidanceBranch side, List<StepDecision> all) {
    List<StepDecision> decisions =
        all.stream().filter(decision -> decision.branch() == side).toList();
    assertEquals(branch.get("decisions").asText(), CacheGoldens.text(decisions), side.toString());
    boolean errors = golden.get("peer").asText().equals("diffusers-magcache");
    for (StepDecision decision : decisions) {
      // MagCache's hook is asked after the decision, when a computed step has set the error to 0.
      if (!errors || !decision.computed()) {
        CacheGoldens.checkDifference(
            side + " " + decision.step(), branch.get("diffs").get(decision.step()), decision, 1e-3);
      }
    }
  }

  private static void checkLatents(JsonNode golden, List<float[]> latents) {
    String id = golden.get("id").asText();
    // The one run of a hook that keeps its factors in bfloat16.
    double tolerance = id.equals("ts.qwen.default") ? 1e-2 : 1e-4;
    if (golden.path("store").asText().equals("full")) {
      float[] expected = tensors.values(id + ".latents");
      int size = expected.length / latents.size();
      for (int step = 0; step < latents.size(); step++) {
        float[] wanted = Arrays.copyOfRange(expected, step * size, (step + 1) * size);
        double error = CacheGoldens.relative(latents.get(step), wanted);
        assertTrue(error <= tolerance, "latents of step %d: %s".formatted(step, error));
      }
    } else {
      double error = CacheGoldens.relative(latents.getLast(), tensors.values(id + ".final"));
      assertTrue(error <= tolerance, "last latents: " + error);
    }
  }
}
