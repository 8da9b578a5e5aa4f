package dev.nibble.runtime.cache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.runtime.Goldens;
import dev.nibble.runtime.cpu.CpuBackend;
import dev.nibble.runtime.tensor.Backend;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import java.io.IOException;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Predictions of cache-dit's calibrators.
class CalibratorGoldenTest {
  private static Goldens.File goldens;

  @BeforeAll
  static void read() throws IOException {
    goldens = Goldens.tensors("goldens/cache/cache_calibrators.safetensors");
  }

  /// All but the one whose object is used again after a reset, which no run does: its counter no
  /// longer stays one behind.
  static Stream<String> calibrators() {
    return CacheGoldens.cases("calibrators")
        .filter(entry -> !entry.has("runs"))
        .map(entry -> entry.get("id").asText());
  }

  @Test
  void thereAreAllCases() {
    assertEquals(11, calibrators().count());
    assertEquals(12, CacheGoldens.cases("calibrators").count());
  }

  @ParameterizedTest
  @MethodSource("calibrators")
  void predictsAsThePeer(String id) {
    JsonNode golden = CacheGoldens.find("calibrators", id);
    Calibrator calibrator = CacheGoldens.calibrator(golden.get("config"));
    double tolerance = calibrator instanceof Dmd ? 1e-3 : 1e-5;
    String schedule = golden.get("schedule").asText();
    float[] values = goldens.values(id + ".Y");
    float[] expected = goldens.values(id + ".out");
    int size = values.length / schedule.length();
    long[] dims = goldens.get(id + ".Y").dims();
    long[] item = Arrays.copyOfRange(dims, 1, dims.length);
    try (Backend backend = new CpuBackend();
        Ops ops = backend.newOps("test")) {
      Forecaster forecaster = calibrator.start(ops);
      for (int step = 0; step < schedule.length(); step++) {
        float[] value = Arrays.copyOfRange(values, step * size, (step + 1) * size);
        try (Region _ = ops.region()) {
          if (schedule.charAt(step) == '1') {
            forecaster.observe(step, ops.fromHost(value, item));
          } else {
            float[] wanted = Arrays.copyOfRange(expected, step * size, (step + 1) * size);
            float[] found = ops.toHost(forecaster.predict(step, ops));
            double error = CacheGoldens.relative(found, wanted);
            assertTrue(error <= tolerance, "step %d: %s".formatted(step, error));
          }
        }
      }
      forecaster.clear();
      assertEquals(0, backend.openBytes());
    }
  }
}
