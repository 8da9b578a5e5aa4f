package dev.nibble.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.calibration.CalibrationFile;
import dev.nibble.formats.calibration.InputStatistics;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/// `nibble calibrate -o X.safetensors`.
class CalibrateStatisticsTest {
  private static final Path MODEL = Fixtures.path("models/emoji-zimage");

  @TempDir private Path folder;

  @SuppressWarnings("NullAway.Init") // set before each test
  private Path prompts;

  @SuppressWarnings("NullAway.Init") // set before each test
  private Path output;

  @BeforeEach
  void writePrompts() throws Exception {
    prompts = Files.writeString(folder.resolve("prompts.txt"), "red apple\n\nrocket\n");
    output = folder.resolve("stats.safetensors");
  }

  private CommandRun calibrate(Object... more) {
    List<Object> words =
        new ArrayList<>(List.of("calibrate", MODEL, "--prompts", prompts, "-o", output));
    Collections.addAll(words, more);
    return CommandRun.of(words.toArray());
  }

  @Test
  void recordsTheTransformer() throws Exception {
    CommandRun run = calibrate("--steps", "2", "--samples", "5", "--json");
    assertEquals(0, run.code(), run.err());
    JsonNode json = run.json();
    assertEquals(100, json.get("layers").intValue());
    assertEquals(55, json.get("inputs").intValue());
    assertEquals(1, json.get("passes").intValue());
    assertEquals(Files.size(output), json.get("bytes").longValue());
    try (CalibrationFile read = CalibrationFile.open(output)) {
      assertEquals("transformer", read.header().component());
      assertEquals(2, read.header().prompts());
      assertEquals(2, read.header().steps());
      assertEquals(0, read.header().guidance());
      InputStatistics input = read.of("layers.3.attention.to_v").orElseThrow();
      assertEquals("layers.3.attention.to_q", input.name());
      assertEquals(5, input.sampleRows());
      assertTrue(input.hessian().isPresent());
      long rows = read.inputs().stream().mapToLong(InputStatistics::count).sum();
      assertEquals(rows, json.get("rows").longValue());
    }
    assertFalse(Files.exists(folder.resolve("stats.safetensors.partial")));
    CommandRun again = calibrate("--steps", "2");
    assertEquals(1, again.code());
    assertTrue(again.lastErrorLine().contains("--force"), again.err());
  }

  @Test
  void recordsTheTextEncoderWithoutHessians() throws Exception {
    CommandRun run = calibrate("--component", "text_encoder", "--no-hessian");
    assertEquals(0, run.code(), run.err());
    assertTrue(run.out().contains("layers of the text_encoder"), run.out());
    try (CalibrationFile read = CalibrationFile.open(output)) {
      assertEquals(1, read.header().steps());
      InputStatistics input = read.of("model.layers.0.self_attn.k_proj").orElseThrow();
      assertEquals("model.layers.0.self_attn.q_proj", input.name());
      assertTrue(input.hessian().isEmpty());
    }
  }

  /// What is wrong, and a piece of what is said about it.
  static Stream<Map.Entry<List<String>, String>> nonsense() {
    return Stream.of(
        Map.entry(List.of("-o", "x.txt"), "X.json or X.safetensors"),
        Map.entry(List.of("-o", "x.json", "--no-hessian"), "belong to -o X.safetensors"),
        Map.entry(List.of("-o", "x.json", "--restart"), "belong to -o X.safetensors"),
        Map.entry(List.of("--component", "vae"), "--component takes transformer or text_encoder"),
        Map.entry(List.of("--samples", "-1"), "--samples takes 0"),
        Map.entry(List.of("--steps", "0"), "--steps takes 1"),
        Map.entry(List.of("--memory", "lots"), "--memory"));
  }

  @ParameterizedTest
  @MethodSource("nonsense")
  void nonsenseIsRefused(Map.Entry<List<String>, String> wrong) {
    List<Object> words = new ArrayList<>(List.of("calibrate", MODEL, "--prompts", prompts));
    if (!wrong.getKey().contains("-o")) {
      words.addAll(List.of("-o", output));
    }
    words.addAll(wrong.getKey());
    CommandRun run = CommandRun.of(words.toArray());
    assertEquals(2, run.code());
    assertTrue(run.err().contains(wrong.getValue()), run.err());
  }

  /// `kill -9` and Ctrl-C, of a process of its own; the same command ends what it began.
  @ParameterizedTest
  @CsvSource({"KILL", "INT"})
  @EnabledOnOs({OS.LINUX, OS.MAC}) // where kill(1) is
  void goesOnAfter(String signal) throws Exception {
    Files.writeString(prompts, "red apple\nrocket\npizza\n".repeat(10));
    Path errors = folder.resolve("errors.txt");
    Process process = start(errors);
    Path pass = folder.resolve("stats.safetensors.partial").resolve("pass-1.safetensors");
    try {
      while (!Files.exists(pass)) {
        assertTrue(process.isAlive(), "ended by itself");
        Thread.onSpinWait();
      }
      new ProcessBuilder("kill", "-" + signal, String.valueOf(process.pid())).start().waitFor();
      process.waitFor();
    } finally {
      process.destroyForcibly();
    }
    assertFalse(Files.exists(output), Files.readString(errors));
    assertEquals(
        signal.equals("INT"), Files.readString(errors).contains("the same command goes on"));
    CommandRun other = calibrate("--steps", "2");
    assertEquals(1, other.code());
    assertTrue(other.lastErrorLine().contains("(steps 1, now 2)"), other.err());
    CommandRun rest = calibrate("--steps", "1");
    assertEquals(0, rest.code(), rest.err());
    assertTrue(rest.err().contains("note: going on with pass 1 after prompt "), rest.err());
    Path interrupted = Files.move(output, folder.resolve("interrupted.safetensors"));
    assertEquals(0, calibrate("--steps", "1").code());
    assertEquals(-1, Files.mismatch(interrupted, output));
  }

  private Process start(Path errors) throws Exception {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--add-modules=jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
            NibbleMain.class.getName(),
            "calibrate",
            MODEL.toString(),
            "--prompts",
            prompts.toString(),
            "--steps",
            "1",
            "-o",
            output.toString())
        .redirectError(errors.toFile())
        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
        .start();
  }

  @ParameterizedTest
  @ValueSource(strings = {"4M", "100M"})
  void restartDropsWhatAnotherRunKept(String memory) throws Exception {
    Path kept = Files.createDirectories(folder.resolve("stats.safetensors.partial"));
    Files.writeString(kept.resolve("pass-1.safetensors"), "no state at all");
    CommandRun refused = calibrate("--steps", "1");
    assertEquals(1, refused.code());
    CommandRun run = calibrate("--steps", "1", "--restart", "--memory", memory);
    assertEquals(0, run.code(), run.err());
    assertTrue(run.out().contains(memory.equals("4M") ? "6 passes" : "1 pass"), run.out());
    assertFalse(Files.exists(kept));
  }
}
