package dev.nibble.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.runtime.image.Pictures;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Pictures of the miniature, measured.
class EvaluateCommandTest {
  private static final Path MODEL = Fixtures.path("models/emoji-zimage");
  private static final Pattern PICTURE = Pattern.compile("src=\"data:image/png;base64,([^\"]*)\"");

  @TempDir static Path converted;
  @TempDir Path folder;

  private static Path nf4;

  @BeforeAll
  static void convert() {
    nf4 = converted.resolve("nf4");
    CommandRun run =
        CommandRun.of("quantize", MODEL.resolve("transformer"), "--nf4", "-q", "-o", nf4);
    assertEquals(0, run.code(), run.err());
  }

  private Path prompts(String text) throws Exception {
    return Files.writeString(folder.resolve("prompts.txt"), text);
  }

  private CommandRun evaluate(Object... more) throws Exception {
    List<Object> words =
        new ArrayList<>(
            List.of(
                "evaluate",
                MODEL,
                "--prompts",
                prompts("red apple\n\nrocket\n"),
                "--seed",
                "1000"));
    words.addAll(List.of(more));
    if (!words.contains("--steps")) {
      words.addAll(List.of("--steps", "2"));
    }
    return CommandRun.of(words.toArray());
  }

  private List<String> names() throws Exception {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> String.valueOf(file.getFileName())).sorted().toList();
    }
  }

  private static List<String> keys(JsonNode node) {
    List<String> keys = new ArrayList<>();
    for (Iterator<String> names = node.fieldNames(); names.hasNext(); ) {
      keys.add(names.next());
    }
    return keys;
  }

  @Test
  void measuresVariantsAgainstThePipelineItself() throws Exception {
    Path page = folder.resolve("report.html");
    CommandRun run =
        evaluate(
            "--variant",
            "nf4=" + nf4,
            "--variant",
            "same=" + MODEL.resolve("transformer"),
            "--html",
            page,
            "--json");
    assertEquals(0, run.code(), run.err());
    assertEquals("", run.err());
    assertEquals(List.of("prompts.txt", "report.html"), names());
    JsonNode json = run.json();
    checkSchema(json, page);

    JsonNode reference = json.get("reference");
    assertEquals(16, reference.get("bits_per_weight").doubleValue());
    JsonNode quantized = json.get("variants").get(0);
    assertTrue(quantized.get("weights").textValue().startsWith("nf4 x 100"), quantized.toString());
    double bits = quantized.get("bits_per_weight").doubleValue();
    assertTrue(4 < bits && bits < 4.5, "bits " + bits);
    assertTrue(
        quantized.get("file_bytes").longValue() < reference.get("file_bytes").longValue() / 3);
    assertTrue(quantized.get("tensor_bytes").longValue() < quantized.get("file_bytes").longValue());
    assertEquals(1, quantized.get("latents_mse_ratio").doubleValue());
    assertTrue(quantized.get("latents_mse").doubleValue() > 1e-4, quantized.toString());
    assertTrue(quantized.get("psnr_db").doubleValue() < 60, quantized.toString());
    assertTrue(quantized.get("ssim").doubleValue() < 1, quantized.toString());
    assertTrue(quantized.get("vae_lpips").doubleValue() > 1e-4, quantized.toString());
    assertEquals(0, quantized.get("identical").intValue());
    checkSame(json.get("variants").get(1));
    checkPage(Files.readString(page), quantized);
  }

  /// A key that is missing here was taken away, or given another name: that is another schema.
  private static void checkSchema(JsonNode json, Path page) {
    assertEquals(
        List.of(
            "tool",
            "command",
            "version",
            "inputs",
            "outputs",
            "schema",
            "backend",
            "settings",
            "prompts",
            "reference",
            "variants",
            "notes"),
        keys(json));
    assertEquals(1, json.get("schema").intValue());
    assertEquals("evaluate", json.get("command").textValue());
    assertEquals(page.toString(), json.get("outputs").get(0).textValue());
    assertEquals("2 steps, guidance 0.0, 64x64", json.get("settings").textValue());
    assertEquals("rocket", json.get("prompts").get(1).get("prompt").textValue());
    assertEquals(1001, json.get("prompts").get(1).get("seed").longValue());
    List<String> size =
        List.of(
            "name",
            "path",
            "weights",
            "file_bytes",
            "tensor_bytes",
            "memory_bytes",
            "bits_per_weight",
            "seconds");
    assertEquals(size, keys(json.get("reference")));
    List<String> variant = new ArrayList<>(size);
    variant.addAll(
        List.of(
            "latents_mse",
            "psnr_db",
            "ssim",
            "vae_lpips",
            "psnr_worst_tenth_db",
            "latents_mse_ratio",
            "closer_than_first",
            "identical",
            "pictures"));
    assertEquals(variant, keys(json.get("variants").get(0)));
    assertEquals(
        List.of("latents_mse", "psnr_db", "ssim", "vae_lpips", "seconds"),
        keys(json.get("variants").get(0).get("pictures").get(1)));
  }

  /// The pipeline's own transformer named as a variant draws the very same pictures.
  private static void checkSame(JsonNode same) {
    assertEquals(0, same.get("latents_mse").doubleValue());
    assertEquals(0, same.get("vae_lpips").doubleValue());
    assertEquals(1, same.get("ssim").doubleValue(), 1e-12);
    assertTrue(same.get("psnr_db").isNull(), same.toString());
    assertEquals(2, same.get("identical").intValue());
    assertEquals(2, same.get("closer_than_first").intValue());
  }

  private static void checkPage(String page, JsonNode quantized) throws Exception {
    List<byte[]> pictures = new ArrayList<>();
    for (Matcher matcher = PICTURE.matcher(page); matcher.find(); ) {
      pictures.add(Base64.getDecoder().decode(matcher.group(1)));
    }
    assertEquals(2 * 3, pictures.size());
    Path file = Files.createTempFile(converted, "picture", ".png");
    Files.write(file, pictures.getFirst());
    assertEquals(64, Pictures.read(file).width());
    assertFalse(page.contains("<script"), "a script");
    assertFalse(page.replaceAll("src=\"data:[^\"]*\"", "").contains("src="), "refers elsewhere");
    String psnr = "%.1f dB".formatted(quantized.get("psnr_db").doubleValue());
    for (String text : List.of(psnr, "red apple", "rocket", ">nf4<", ">same<", "identical")) {
      assertTrue(page.contains(text), text);
    }
  }

  @Test
  void printsTablesAndDrawsTheSameAgain() throws Exception {
    CommandRun run = evaluate("--variant", "nf4=" + nf4, "--variant", "again=" + nf4);
    assertEquals(0, run.code(), run.err());
    List<String> lines = run.out().lines().toList();
    assertTrue(lines.get(0).startsWith("variant"), run.out());
    assertTrue(lines.get(1).startsWith("reference"), run.out());
    assertTrue(lines.get(1).endsWith("bf16 x 102"), run.out());
    List<String> first = words(lines, "nf4");
    List<String> second = words(lines, "again");
    assertEquals("1.000", first.get(2));
    assertEquals("-", first.get(3));
    assertEquals("0/2", second.get(3));
    assertEquals(first.subList(4, first.size()), second.subList(4, second.size()), run.out());
    assertEquals(first.subList(1, 3), second.subList(1, 3), run.out());
    assertTrue(run.out().contains("again is as large as nf4 to the byte"), run.out());
    assertTrue(run.out().contains("2 prompts, seeds 1000 to 1001, 2 steps"), run.out());
  }

  /// The last line that begins so.
  private static List<String> words(List<String> lines, String name) {
    String line = lines.stream().filter(each -> each.startsWith(name + " ")).toList().getLast();
    return List.of(line.split(" +"));
  }

  @Test
  void errorsOfLayersComeFromTheConversionsReport() throws Exception {
    Path report =
        Files.writeString(
            folder.resolve("nf4.json"),
            """
            {"tensors": [
              {"name": "layers.0.a.weight", "output_error": 0.002, "output_error_rtn": 0.004},
              {"name": "layers.0.b.bias", "bytes_in": 4}]}\
            """);
    CommandRun run =
        evaluate("--variant", "nf4=" + nf4, "--layers", "nf4=" + report, "--steps", "1", "--json");
    assertEquals(0, run.code(), run.err());
    JsonNode layers = run.json().get("variants").get(0).get("layers");
    assertEquals(1, layers.size());
    assertEquals("layers.0.a.weight", layers.get(0).get("name").textValue());
    assertEquals(0.002, layers.get(0).get("output_error").doubleValue());
    assertEquals(0.004, layers.get(0).get("output_error_rtn").doubleValue());
    assertTrue(run.json().get("notes").get(0).textValue().contains("is 0.50 times"), run.out());

    Files.writeString(report, "{\"tensors\": []}");
    CommandRun none = evaluate("--variant", "nf4=" + nf4, "--layers", "nf4=" + report);
    assertEquals(1, none.code());
    assertTrue(none.lastErrorLine().startsWith("error: " + report + ": holds no"), none.err());
  }

  @Test
  void whatIsWrongIsOneLineBeforeAnythingIsDrawn() throws Exception {
    Path page = folder.resolve("report.html");
    CommandRun none = evaluate("--variant", "x=no/such", "--html", page);
    assertEquals(1, none.code());
    assertEquals(
        "error: no/such: no such file or directory: name what quantize wrote with -o",
        none.lastErrorLine());
    CommandRun other = evaluate("--variant", "vae=" + MODEL.resolve("vae"), "--html", page);
    assertEquals(1, other.code());
    assertTrue(other.lastErrorLine().startsWith("error: " + MODEL.resolve("vae")), other.err());
    assertEquals(List.of("prompts.txt"), names());
  }

  @Test
  void wrongUsageIsToldByItsCure() throws Exception {
    assertUsage("NAME=PATH, such as nf4=", "--variant", nf4);
    assertUsage("--variant a is given twice", "--variant", "a=" + nf4, "--variant", "a=" + nf4);
    assertUsage("has this name: choose another", "--variant", "reference=" + nf4);
    assertUsage("--html takes X.html", "--variant", "a=" + nf4, "--html", "report.txt");
    assertUsage("no --variant has this name", "--variant", "a=" + nf4, "--layers", "b=c.json");
    assertUsage("--variant", "--size", "64");
    assertUsage("--guidance takes a number from 0", "--variant", "a=" + nf4, "--guidance", "-1");
  }

  private void assertUsage(String text, Object... words) throws Exception {
    CommandRun run = evaluate(words);
    assertEquals(2, run.code(), run.err());
    assertTrue(run.lastErrorLine().contains(text), run.err());
  }

  @Test
  void pagesThatExistAreReplacedOnlyWithForce() throws Exception {
    Path page = Files.writeString(folder.resolve("report.html"), "mine");
    CommandRun run = evaluate("--variant", "nf4=" + nf4, "--html", page);
    assertEquals(1, run.code());
    assertTrue(run.lastErrorLine().contains("--force"), run.err());
    assertEquals("mine", Files.readString(page));
  }

  @Test
  void anInterruptedEvaluationLeavesNothing() throws Exception {
    PrintStream nowhere = new PrintStream(OutputStream.nullOutputStream(), false);
    Session session = Session.plain(nowhere, nowhere);
    session.interruption().begin();
    String[] command = {
      "evaluate",
      MODEL.toString(),
      "--prompts",
      prompts("red apple").toString(),
      "--variant",
      "nf4=" + nf4,
      "--html",
      folder.resolve("report.html").toString()
    };
    assertEquals(130, NibbleMain.run(command, session));
    assertEquals(List.of("prompts.txt"), names());
  }

  /// What is measured with was not calibrated with.
  @Test
  void theFixturesPromptsAreNamesThatShareNone() throws Exception {
    List<String> names =
        Files.readAllLines(MODEL.resolve("reference/names.tsv")).stream()
            .map(line -> line.substring(line.indexOf('\t') + 1))
            .toList();
    List<String> evaluation = PromptFile.read(Fixtures.path("prompts/emoji-evaluation.txt"));
    List<String> few = PromptFile.read(Fixtures.path("prompts/emoji-calibration.txt"));
    List<String> many = PromptFile.read(Fixtures.path("prompts/emoji-calibration-718.txt"));
    List<String> tuning = PromptFile.read(Fixtures.path("prompts/emoji-tuning.txt"));
    assertEquals(32, evaluation.size());
    assertEquals(32, tuning.size());
    assertEquals(64, few.size());
    assertEquals(718, many.size());
    for (int i = 0; i < evaluation.size(); i++) {
      assertEquals(names.get(44 * i), evaluation.get(i));
      assertEquals(names.get(22 + 44 * i), tuning.get(i));
    }
    for (int i = 0; i < few.size(); i++) {
      assertEquals(names.get(11 + 22 * i), few.get(i));
    }
    for (int i = 0; i < many.size(); i++) {
      assertEquals(names.get(1 + 2 * i), many.get(i));
    }
    for (List<String> measured : List.of(evaluation, tuning)) {
      assertTrue(Collections.disjoint(measured, few), "few");
      assertTrue(Collections.disjoint(measured, many), "many");
    }
    assertTrue(Collections.disjoint(evaluation, tuning), "tuning");
  }
}
