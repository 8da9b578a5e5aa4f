package dev.nibble.runtime.cache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.runtime.Goldens;
import dev.nibble.runtime.cache.TeaCacheCalibration.Observation;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Whole runs of the trained miniatures under TeaCache, and its calibration, against a torch
/// implementation in diffusers' models.
class TeaCacheGoldenTest {
  private static final String MANIFEST = "goldens/cache/teacache.json";

  private static Goldens.File tensors;
  private static GoldenModels models;

  @BeforeAll
  static void load() throws IOException {
    tensors = Goldens.tensors("goldens/cache/teacache.safetensors");
    models = new GoldenModels(Goldens.tensors("goldens/cache/cache_models.safetensors"));
  }

  @AfterAll
  static void close() {
    models.close();
  }

  private static Stream<JsonNode> entries(String list) throws IOException {
    return StreamSupport.stream(Goldens.json(MANIFEST).get(list).spliterator(), false)
        .filter(entry -> entry.get("model").asText().equals("zimage"));
  }

  static Stream<String> runs() throws IOException {
    return entries("runs").map(entry -> entry.get("id").asText());
  }

  static Stream<JsonNode> calibrations() throws IOException {
    return entries("calibrations");
  }

  @ParameterizedTest
  @MethodSource("runs")
  void runsAsInTorch(String id) throws IOException {
    JsonNode golden =
        entries("runs").filter(run -> run.get("id").asText().equals(id)).findFirst().orElseThrow();
    StepCache rule =
        new TeaCache(
            golden.get("threshold").asDouble(),
            new TeaCachePolynomial(CacheGoldens.numbers(golden.get("coefficients"))));
    GoldenModels.Run run = models.run(golden, rule);
    for (var branch : golden.get("branches").properties()) {
      GuidanceBranch side =
          branch.getKey().equals("cond")
              ? GuidanceBranch.CONDITIONAL
              : GuidanceBranch.UNCONDITIONAL;
      List<StepDecision> decisions =
          run.decisions().stream().filter(decision -> decision.branch() == side).toList();
      assertEquals(branch.getValue().get("decisions").asText(), CacheGoldens.text(decisions));
      for (StepDecision decision : decisions) {
        JsonNode expected = branch.getValue().get("accumulated").get(decision.step());
        assertEquals(expected.isNull(), decision.difference().isEmpty(), "step " + decision.step());
        if (!expected.isNull()) {
          // May be negative, and near 0 where a polynomial crosses it.
          assertEquals(
              expected.asDouble(),
              decision.difference().getAsDouble(),
              1e-5 + 1e-3 * Math.abs(expected.asDouble()),
              "step " + decision.step());
        }
      }
    }
    double error = CacheGoldens.relative(run.latents().getLast(), tensors.values(id + ".final"));
    assertTrue(error <= 1e-4, "last latents: " + error);
  }

  @ParameterizedTest
  @MethodSource("calibrations")
  void calibratesAsInTorch(JsonNode golden) {
    TeaCacheCalibration calibration = new TeaCacheCalibration();
    for (JsonNode prompt : golden.get("prompts")) {
      ObjectNode run = golden.deepCopy();
      run.put("mode", "single").put("prompt", prompt.asText());
      models.run(run, calibration);
    }
    List<Observation> expected = new ArrayList<>();
    for (JsonNode pair : golden.get("observed")) {
      expected.add(new Observation(pair.get(0).asDouble(), pair.get(1).asDouble()));
    }
    List<Observation> found = calibration.observations();
    assertEquals(expected.size(), found.size());
    for (int i = 0; i < expected.size(); i++) {
      Observation wanted = expected.get(i);
      assertEquals(wanted.input(), found.get(i).input(), 1e-3 * wanted.input(), "input " + i);
      assertEquals(wanted.output(), found.get(i).output(), 1e-3 * wanted.output(), "output " + i);
    }
    List<Double> coefficients = CacheGoldens.numbers(golden.get("coefficients"));
    TeaCachePolynomial fit = TeaCacheCalibration.fit(expected);
    for (int i = 0; i < coefficients.size(); i++) {
      double wanted = coefficients.get(i);
      assertEquals(wanted, fit.coefficients().get(i), 1e-6 * Math.abs(wanted), "coefficient " + i);
    }
  }
}
