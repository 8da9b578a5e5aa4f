package dev.nibble.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.Shape;
import dev.nibble.formats.safetensors.SafetensorsCheckpoint;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// `quantize --stats` with statistics that `calibrate` has recorded of the miniature.
class QuantizeStatsTest {
  private static final Path PIPELINE = Fixtures.path("models/emoji-zimage");
  private static final Path MODEL = PIPELINE.resolve("transformer");

  @TempDir static Path shared;

  @SuppressWarnings("NullAway.Init") // set before all tests
  private static Path stats;

  @TempDir Path folder;

  @BeforeAll
  static void calibrate() throws Exception {
    Path prompts = Files.writeString(shared.resolve("prompts.txt"), "red apple\n\nrocket\n");
    stats = shared.resolve("stats.safetensors");
    CommandRun run =
        CommandRun.of(
            "calibrate", PIPELINE, "--prompts", prompts, "--steps", "3", "-q", "-o", stats);
    assertEquals(0, run.code(), run.err());
  }

  private CommandRun quantize(Object... more) {
    List<Object> words = new ArrayList<>(List.of("quantize", MODEL, "-o", folder.resolve("out")));
    Collections.addAll(words, more);
    return CommandRun.of(words.toArray());
  }

  private List<String> names() throws Exception {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> String.valueOf(file.getFileName())).sorted().toList();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "--nf4 --gptq, --gptq needs --stats FILE",
    "--nf4 --awq, --awq needs --stats FILE",
    "--nf4 --smooth, --smooth needs --stats FILE",
    "--nf4 --svd, --svd needs --stats FILE",
    "--scheme absmax8 --w8a8, --w8a8 needs --stats FILE",
    "--nf4 --stats STATS, give one of them",
    "--nf4 --stats STATS --awq --smooth, give one of them",
    "--nf4 --stats STATS --svd=0, from 1 to",
    "--nf4 --stats STATS --svd=99999, from 1 to",
    "--nf4 --stats STATS --svd=many, many",
    "--nf4 --stats STATS --awq --damp 0.1, belong to --gptq",
    "--nf4 --stats STATS --awq --no-act-order, belong to --gptq",
    "--nf4 --stats STATS --gptq --damp 0, above 0",
    "--nf4 --stats STATS --gptq --damp 1.5, at most 1"
  })
  void contradictionsAreUsageErrors(String options, String why) throws Exception {
    List<Object> words = new ArrayList<>();
    for (String word : options.split(" ", -1)) {
      words.add(word.equals("STATS") ? stats : word);
    }
    CommandRun run = quantize(words.toArray());
    assertEquals(2, run.code(), run.err());
    assertTrue(run.err().contains(why), run.err());
    assertEquals(List.of(), names());
  }

  @ParameterizedTest
  @CsvSource({
    "missing.safetensors, missing.safetensors",
    "text.safetensors, text.safetensors",
    "prompts.txt, prompts.txt"
  })
  void whatIsNoStatisticsIsOneLine(String name, String named) throws Exception {
    Files.writeString(shared.resolve("text.safetensors"), "not a header");
    CommandRun run = quantize("--nf4", "--gptq", "--stats", shared.resolve(name));
    assertFalse(run.code() == 0 || run.code() == 2, run.err());
    assertTrue(run.lastErrorLine().contains(named), run.err());
    assertEquals(1, run.err().lines().count(), run.err());
    assertEquals(List.of(), names());
  }

  /// The one layer of the miniature whose sides nunchaku's tiles divide.
  @Test
  void aBranchedModelIsExportedForNunchaku() throws Exception {
    CommandRun made =
        quantize(
            "--scheme",
            "int4:g64:bf16",
            "--svd",
            "--stats",
            stats,
            "--only",
            "t_embedder.mlp.0",
            "-q");
    assertEquals(0, made.code(), made.err());
    Path exported = folder.resolve("nunchaku");
    CommandRun run = CommandRun.of("export", folder.resolve("out"), "-o", exported);
    assertEquals(0, run.code(), run.err());
    assertTrue(run.out().contains("1 layer of 4 bits with a branch of rank 32"), run.out());
    try (SafetensorsCheckpoint checkpoint =
        SafetensorsCheckpoint.open(exported.resolve("diffusion_pytorch_model.safetensors"))) {
      assertEquals(
          Shape.of(1024, 128),
          Objects.requireNonNull(checkpoint.tensors().get("t_embedder.mlp.0.qweight")).shape());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "--nf4 --gptq, transformer-nf4-gptq",
    "--nf4 --awq --gptq, transformer-nf4-awq-gptq",
    "--nf4 --svd, transformer-nf4-svd32",
    "--nf4 --smooth --svd=8 --gptq, transformer-nf4-smooth-svd8-gptq",
    "--scheme absmax8 --smooth --w8a8, transformer-absmax8-w8a8-smooth"
  })
  void outputsAreNamedByWhatMadeThem(String options, String name) throws Exception {
    Path model = Files.createDirectory(folder.resolve("transformer"));
    try (Stream<Path> files = Files.list(MODEL)) {
      for (Path file : files.toList()) {
        Files.copy(file, model.resolve(file.getFileName()), StandardCopyOption.REPLACE_EXISTING);
      }
    }
    List<Object> words = new ArrayList<>(List.of("quantize", model, "--stats", stats, "-q"));
    Collections.addAll(words, (Object[]) options.split(" ", -1));
    CommandRun run = CommandRun.of(words.toArray());
    assertEquals(0, run.code(), run.err());
    assertTrue(
        Files.isRegularFile(folder.resolve(name).resolve("config.json")), names().toString());
  }

  @Test
  void jsonTellsWhatCalibrationDidAndEvaluateReadsIt() throws Exception {
    CommandRun run = quantize("--nf4", "--gptq", "--stats", stats, "--json");
    assertEquals(0, run.code(), run.err());
    double found = 0;
    double nearest = 0;
    int layers = 0;
    for (JsonNode tensor : run.json().get("tensors")) {
      if (tensor.get("scheme").textValue().equals("nf4")) {
        found += tensor.get("output_error").doubleValue();
        nearest += tensor.get("output_error_rtn").doubleValue();
        assertTrue(tensor.get("damping").doubleValue() >= 0.1, tensor.toString());
        layers++;
      } else {
        assertFalse(tensor.has("output_error"), tensor.toString());
      }
    }
    assertEquals(100, layers);
    assertTrue(found < 0.8 * nearest, found + " against " + nearest);
    assertTrue(run.out().contains("gptq from 2 prompts, 3 steps each"), run.out());

    Path report = Files.writeString(folder.resolve("report.json"), run.out());
    Path prompts = shared.resolve("prompts.txt");
    CommandRun evaluation =
        CommandRun.of(
            "evaluate",
            PIPELINE,
            "--prompts",
            prompts,
            "--steps",
            "1",
            "--variant",
            "gptq=" + folder.resolve("out"),
            "--layers",
            "gptq=" + report,
            "--json");
    assertEquals(0, evaluation.code(), evaluation.err());
    JsonNode read = evaluation.json().get("variants").get(0).get("layers");
    assertEquals(100, read.size());
  }

  @Test
  void dryRunsPlanTheSame() throws Exception {
    Object[] options = {"--scheme", "int4:g64", "--gptq", "--awq", "--stats", stats, "--json"};
    Object[] dry = new Object[options.length + 1];
    System.arraycopy(options, 0, dry, 0, options.length);
    dry[options.length] = "--dry-run";
    JsonNode planned = quantize(dry).json();
    assertEquals(List.of(), names());
    JsonNode done = quantize(options).json();
    assertEquals(planned.get("totals").get("bytes_out"), done.get("totals").get("bytes_out"));
    assertEquals(planned.get("notes"), done.get("notes"));
    for (int i = 0; i < done.get("tensors").size(); i++) {
      assertEquals(
          planned.get("tensors").get(i).get("scheme"), done.get("tensors").get(i).get("scheme"));
    }
    CommandRun text = quantize("--nf4", "--gptq", "--stats", stats, "--dry-run", "--force");
    assertEquals(0, text.code(), text.err());
    assertTrue(text.out().contains("gptq from 2 prompts"), text.out());
  }

  @Test
  void ofAPipelineTheTransformerIsCalibrated() throws Exception {
    CommandRun run =
        CommandRun.of(
            "quantize",
            PIPELINE,
            "--nf4",
            "--gptq",
            "--stats",
            stats,
            "-o",
            folder.resolve("pipeline"),
            "--json");
    assertEquals(0, run.code(), run.err());
    assertTrue(
        run.out().contains("rounded to nearest, for statistics are of transformer: text_encoder"),
        run.out());
    int calibrated = 0;
    for (JsonNode tensor : run.json().get("tensors")) {
      boolean has = tensor.has("output_error");
      calibrated += has ? 1 : 0;
      assertFalse(has && tensor.get("name").textValue().startsWith("text_encoder"));
    }
    assertEquals(100, calibrated);
  }
}
