package dev.nibble.runtime.cache;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.runtime.Goldens;
import dev.nibble.runtime.cuda.CudaBackend;
import dev.nibble.runtime.cuda.CudaOptions;
import dev.nibble.runtime.cuda.CudaOptions.Precision;
import dev.nibble.runtime.cuda.RequiresGpu;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// The runs of {@link ModelGoldenTest} on a GPU: the same steps are computed, and the latents are
/// those of the peers as far as the arithmetic goes.
@RequiresGpu
class ModelGoldenGpuTest {
  @SuppressWarnings("NullAway.Init") // set before all tests
  private static Goldens.File tensors;

  @SuppressWarnings("NullAway.Init") // set before all tests
  private static CudaBackend fast;

  @SuppressWarnings("NullAway.Init") // set before all tests
  private static GoldenModels fastModels;

  @SuppressWarnings("NullAway.Init") // set before all tests
  private static GoldenModels exactModels;

  @BeforeAll
  static void load() throws IOException {
    tensors = Goldens.tensors("goldens/cache/cache_models.safetensors");
    fast = CudaBackend.open(0, CudaOptions.DEFAULT);
    fastModels = new GoldenModels(tensors, fast);
    exactModels =
        new GoldenModels(
            tensors, CudaBackend.open(0, CudaOptions.DEFAULT.withPrecision(Precision.F32)));
  }

  @AfterAll
  static void close() {
    exactModels.close();
    fastModels.close();
  }

  static Stream<String> runs() {
    return CacheGoldens.cases("models").map(entry -> entry.get("id").asText());
  }

  @ParameterizedTest
  @MethodSource("runs")
  void runsAsUnderThePeerInFloat32(String id) {
    JsonNode golden = CacheGoldens.find("models", id);
    GoldenModels.Run run = exactModels.run(golden, CacheGoldens.rule(golden));
    checkDecisions(golden, run);
    double tolerance = id.equals("ts.qwen.default") ? 1e-2 : 1e-4;
    assertTrue(error(id, run) <= tolerance, "latents: " + error(id, run));
  }

  /// The roundings of bfloat16 move a difference by some percent: where the peer's own lies as near
  /// to the threshold, either decision is right, and what follows it differs.
  @ParameterizedTest
  @MethodSource("runs")
  void runsAsUnderThePeerInBfloat16(String id) {
    JsonNode golden = CacheGoldens.find("models", id);
    GoldenModels.Run run = fastModels.run(golden, CacheGoldens.rule(golden));
    boolean equal = true;
    for (var branch : golden.get("branches").properties()) {
      String expected = branch.getValue().get("decisions").asText();
      String actual = decisions(golden, branch.getKey(), run);
      for (int step = 0; step < expected.length() && equal; step++) {
        if (expected.charAt(step) != actual.charAt(step)) {
          equal = false;
          double difference = branch.getValue().get("diffs").get(step).asDouble();
          double threshold = threshold(golden.get("config"));
          assertEquals(threshold, difference, 0.05 * threshold, "difference of step " + step);
        }
      }
    }
    if (equal) {
      assertTrue(error(id, run) <= 5e-2, "latents: " + error(id, run));
    }
  }

  private static double threshold(JsonNode config) {
    return config.has("threshold")
        ? config.get("threshold").asDouble()
        : config.get("residual_diff_threshold").asDouble();
  }

  private static void checkDecisions(JsonNode golden, GoldenModels.Run run) {
    for (var branch : golden.get("branches").properties()) {
      assertEquals(
          branch.getValue().get("decisions").asText(),
          decisions(golden, branch.getKey(), run),
          branch.getKey());
    }
  }

  private static String decisions(JsonNode golden, String branch, GoldenModels.Run run) {
    GuidanceBranch side = ModelGoldenTest.side(golden, branch);
    return CacheGoldens.text(
        run.decisions().stream().filter(decision -> decision.branch() == side).toList());
  }

  private static double error(String id, GoldenModels.Run run) {
    float[] last = run.latents().getLast();
    if (tensors.tensors().containsKey(id + ".final")) {
      return CacheGoldens.relative(last, tensors.values(id + ".final"));
    }
    float[] all = tensors.values(id + ".latents");
    float[] expected = new float[last.length];
    System.arraycopy(all, all.length - last.length, expected, 0, last.length);
    return CacheGoldens.relative(last, expected);
  }

  @Test
  void eightThreadsDrawWhatOneDraws() throws InterruptedException, ExecutionException {
    List<JsonNode> goldens =
        CacheGoldens.cases("models")
            .filter(golden -> golden.get("steps").asInt() <= 20)
            .limit(20)
            .toList();
    List<float[]> alone = new ArrayList<>();
    for (JsonNode golden : goldens) {
      alone.add(last(golden));
    }
    check(goldens, alone, 16); // the driver keeps some memory for each of its threads
    long open = fast.openBytes();
    long free = fast.freeDeviceBytes();
    check(goldens, alone, 100);
    assertEquals(open, fast.openBytes(), "open bytes");
    assertEquals(free, fast.freeDeviceBytes(), "free bytes of the device");
  }

  private static void check(List<JsonNode> goldens, List<float[]> alone, int requests)
      throws InterruptedException, ExecutionException {
    try (ExecutorService threads = Executors.newFixedThreadPool(8)) {
      List<Future<float[]>> drawn = new ArrayList<>();
      for (int i = 0; i < requests; i++) {
        JsonNode golden = goldens.get(i % goldens.size());
        drawn.add(threads.submit(() -> last(golden)));
      }
      for (int i = 0; i < requests; i++) {
        assertArrayEquals(alone.get(i % goldens.size()), drawn.get(i).get(), "request " + i);
      }
    }
  }

  private static float[] last(JsonNode golden) {
    return fastModels.run(golden, CacheGoldens.rule(golden)).latents().getLast();
  }
}
