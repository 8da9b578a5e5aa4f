package dev.nibble.runtime.schedule;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.runtime.Goldens;
import dev.nibble.runtime.cpu.CpuBackend;
import dev.nibble.runtime.schedule.FlowMatchEuler.Spacing;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FlowMatchEulerTest {
  @TempDir private Path folder;

  private FlowMatchEuler read(String json) throws IOException {
    Path file = folder.resolve("scheduler_config.json");
    Files.writeString(file, json);
    return FlowMatchEuler.open(file);
  }

  private static FlowMatchEuler fixture() throws IOException {
    return FlowMatchEuler.open(
        Fixtures.path("models/emoji-zimage/scheduler/scheduler_config.json"));
  }

  @Test
  void schedulesAreThoseOfDiffusersBitForBit() throws IOException {
    JsonNode goldens = Goldens.json("goldens/schedule/schedule.json");
    for (JsonNode golden : goldens.get("schedules")) {
      String config = golden.get("config").asText();
      Schedule schedule =
          read(goldens.get("configs").get(config).toString())
              .schedule(
                  Spacing.valueOf(golden.get("spacing").asText().toUpperCase(Locale.ROOT)),
                  golden.get("steps").asInt(),
                  golden.get("imageTokens").asInt());
      String what = config + " " + golden.get("spacing") + " " + golden.get("steps");
      assertArrayEquals(Goldens.floats(golden.get("sigmas")), schedule.sigmas(), what);
      assertArrayEquals(Goldens.floats(golden.get("timesteps")), schedule.timesteps(), what);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"run-g0", "run-g1"})
  void fixtureRunsHaveTheSameLevels(String run) throws IOException {
    var golden = Goldens.tensors("models/emoji-zimage/reference/" + run + ".safetensors");
    Schedule schedule = fixture().schedule(20, 16);
    assertArrayEquals(golden.values("sigmas"), schedule.sigmas());
    assertArrayEquals(golden.values("timesteps"), schedule.timesteps());
  }

  @Test
  void startsFromAPictureWhereDiffusersStarts() throws IOException {
    for (JsonNode golden : Goldens.json("goldens/schedule/schedule.json").get("starts")) {
      int steps = golden.get("steps").asInt();
      Schedule whole = fixture().schedule(steps, 16);
      Schedule part = whole.from(golden.get("strength").asDouble());
      assertEquals(golden.get("count").asInt(), part.steps(), golden.toString());
      assertEquals(whole.sigma(golden.get("first").asInt()), part.sigma(0), golden.toString());
      assertEquals(Goldens.floats(golden.get("timesteps"))[0], part.timestep(0), golden.toString());
      assertEquals(0, part.sigma(part.steps()));
    }
  }

  @Test
  void noiseAndStepsRoundAsDiffusers() throws IOException {
    try (var backend = new CpuBackend();
        Ops ops = backend.newOps("test")) {
      for (JsonNode golden : Goldens.json("goldens/schedule/schedule.json").get("noised")) {
        Schedule schedule =
            fixture()
                .schedule(golden.get("steps").asInt(), 16)
                .from(golden.get("strength").asDouble());
        Tensor noise = ops.fromHost(Goldens.floats(golden.get("noise")), 1, 1, 2, 4);
        Tensor sample = ops.fromHost(Goldens.floats(golden.get("sample")), 1, 1, 2, 4);
        Tensor noised = schedule.addNoise(sample, noise, ops);
        assertArrayEquals(Goldens.floats(golden.get("noised")), ops.toHost(noised), 3e-7f);
        Tensor stepped = schedule.step(0, noised, noise, ops);
        assertArrayEquals(
            Goldens.floats(golden.get("stepWithNoiseAsVelocity")), ops.toHost(stepped), 3e-7f);
      }
    }
  }

  @Test
  void everyKeyHasDiffusersDefault() throws IOException {
    assertArrayEquals(
        read("{\"shift\": 1.0, \"shift_terminal\": null}").schedule(4, 16).sigmas(),
        read("{}").schedule(4, 16).sigmas());
    assertArrayEquals(
        read("{\"use_dynamic_shifting\": true, \"base_shift\": 0.5, \"max_shift\": 1.15}")
            .schedule(4, 16)
            .sigmas(),
        read("{\"use_dynamic_shifting\": true, \"base_image_seq_len\": 256}")
            .schedule(4, 16)
            .sigmas());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "use_karras_sigmas",
        "use_exponential_sigmas",
        "use_beta_sigmas",
        "invert_sigmas",
        "stochastic_sampling"
      })
  void otherKindsOfLevelsAreRefused(String option) {
    var e =
        assertThrows(UnsupportedException.class, () -> read("{\"%s\": true}".formatted(option)));
    Goldens.assertSays(e, "scheduler_config.json", option);
  }

  @Test
  void otherSchedulersAreRefused() {
    var e =
        assertThrows(
            UnsupportedException.class, () -> read("{\"_class_name\": \"DDIMScheduler\"}"));
    Goldens.assertSays(e, "DDIMScheduler");
    assertThrows(
        UnsupportedException.class,
        () -> read("{\"use_dynamic_shifting\": true, \"time_shift_type\": \"cubic\"}"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"shift\": \"three\"}",
        "{\"num_train_timesteps\": 0}",
        "{\"use_dynamic_shifting\": true, \"max_image_seq_len\": 256}"
      })
  void valuesOfAnotherKindAreFaults(String json) {
    var e = assertThrows(FormatException.class, () -> read(json));
    Goldens.assertSays(e, "scheduler_config.json");
  }

  @Test
  void impossibleRequestsAreRefused() throws IOException {
    FlowMatchEuler stretched = read("{\"shift_terminal\": 0.02}");
    assertThrows(IllegalArgumentException.class, () -> stretched.schedule(1, 16));
    Schedule schedule = fixture().schedule(8, 16);
    assertThrows(IllegalArgumentException.class, () -> fixture().schedule(0, 16));
    assertThrows(IllegalArgumentException.class, () -> schedule.from(0));
    assertThrows(IllegalArgumentException.class, () -> schedule.from(1.1));
    assertThrows(IllegalArgumentException.class, () -> schedule.from(1e-20));
  }
}
