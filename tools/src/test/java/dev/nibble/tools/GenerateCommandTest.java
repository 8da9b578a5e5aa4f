package dev.nibble.tools;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.runtime.image.Pictures;
import dev.nibble.runtime.image.RgbImage;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Prompts to pictures, with the miniature of Z-Image.
class GenerateCommandTest {
  private static final Path MODEL = Fixtures.path("models/emoji-zimage");

  @TempDir Path folder;

  private CommandRun generate(Object... more) {
    List<Object> words = new ArrayList<>(List.of("generate", MODEL, "--prompt", "red apple"));
    words.addAll(List.of(more));
    if (!words.contains("--seed")) {
      words.addAll(List.of("--seed", "1000")); // the reference's
    }
    return CommandRun.of(words.toArray());
  }

  private Path drawn(String name, Object... more) {
    Path file = folder.resolve(name);
    List<Object> words = new ArrayList<>(List.of("-q", "-o", file));
    words.addAll(List.of(more));
    CommandRun run = generate(words.toArray());
    assertEquals(0, run.code(), run.err());
    assertEquals("", run.out() + run.err());
    return file;
  }

  private List<String> names() throws Exception {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> String.valueOf(file.getFileName())).sorted().toList();
    }
  }

  private static void assertNear(RgbImage expected, RgbImage found) {
    byte[] a = expected.toBytes();
    byte[] b = found.toBytes();
    assertEquals(a.length, b.length);
    int far = 0;
    for (int i = 0; i < a.length; i += 3) {
      boolean near = true;
      for (int channel = i; channel < i + 3; channel++) {
        near &= Math.abs((a[channel] & 0xFF) - (b[channel] & 0xFF)) <= 1;
      }
      far += near ? 0 : 1;
    }
    assertTrue(far <= a.length / 3 / 1000, far + " pixels differ by more than 1");
  }

  @Test
  void theAppleIsTheOneThatDiffusersDraws() throws Exception {
    Path file = folder.resolve("apple.png");
    CommandRun run = generate("-o", file, "--json");
    assertEquals(0, run.code(), run.err());
    assertEquals("", run.err());
    assertNear(Pictures.read(MODEL.resolve("reference/0-red-apple-g0.png")), Pictures.read(file));
    assertEquals(List.of("apple.png"), names());

    JsonNode json = run.json();
    assertEquals(1, json.get("schema").intValue());
    assertEquals("none", json.get("cache").textValue());
    assertEquals(file.toString(), json.get("outputs").get(0).textValue());
    JsonNode image = json.get("images").get(0);
    assertEquals(1000, image.get("seed").longValue());
    assertEquals(20, image.get("computed").intValue());
    assertEquals(0, image.get("reused").intValue());
    assertEquals("red apple", image.get("parameters").get("prompt").textValue());
    JsonNode steps = image.get("steps");
    assertEquals(20, steps.size());
    assertEquals(1.0, steps.get(0).get("sigma").doubleValue());
    JsonNode call = steps.get(19).get("calls").get(0);
    assertEquals("conditional", call.get("branch").textValue());
    assertTrue(call.get("computed").booleanValue());
    assertTrue(call.get("difference").isNull());
    long bytes = 0;
    List<String> names = new ArrayList<>();
    for (JsonNode component : json.get("components")) {
      names.add(component.get("name").textValue());
      assertTrue(component.get("weight_bytes").longValue() > 0, component.toString());
      bytes += component.get("weight_bytes").longValue();
    }
    assertEquals(List.of("text_encoder", "transformer", "vae"), names);
    assertEquals(bytes, json.get("totals").get("weight_bytes").longValue());
  }

  @Test
  void guidanceTakesTheNegativePromptsPart() throws Exception {
    Path file = drawn("apple.png", "--guidance", "1");
    assertNear(Pictures.read(MODEL.resolve("reference/0-red-apple-g1.png")), Pictures.read(file));
  }

  @Test
  void seedsDecideAndThePictureSaysHowItWasDrawn() throws Exception {
    byte[] first = Files.readAllBytes(drawn("a.png", "--steps", "3"));
    assertArrayEquals(first, Files.readAllBytes(drawn("b.png", "--steps", "3")));
    byte[] other = Files.readAllBytes(drawn("c.png", "--steps", "3", "--seed", "7"));
    assertFalse(Arrays.equals(first, other));
    String text = new String(first, StandardCharsets.ISO_8859_1);
    for (String part :
        List.of("prompt\0red apple", "seed\0001000", "steps\0003", "Software\0nib")) {
      assertTrue(text.contains(part), part);
    }
  }

  @Test
  void severalPicturesAreNumberedAndLaidOut() throws Exception {
    Path latents = folder.resolve("latents.safetensors");
    Path output = folder.resolve("out.png");
    CommandRun run =
        generate("-o", output, "--steps", "2", "--count", "3", "--grid", "--save-latents", latents);
    assertEquals(0, run.code(), run.err());
    assertEquals(
        List.of("latents.safetensors", "out-0.png", "out-1.png", "out-2.png", "out.png"), names());
    for (String name : List.of("out-0.png", "out-2.png", "out.png", "latents.safetensors")) {
      assertTrue(run.out().contains(folder.resolve(name).toString()), run.out());
    }
    RgbImage first = Pictures.read(folder.resolve("out-0.png"));
    RgbImage sheet = Pictures.read(output);
    assertEquals(8 + 2 * (3 * 64 + 8), sheet.width()); // 2 x 2, each enlarged by 3
    assertEquals(first.get(20, 30, 0), sheet.get(8 + 3 * 20 + 1, 8 + 3 * 30 + 1, 0));
    RgbImage second = Pictures.read(folder.resolve("out-1.png"));
    assertFalse(Arrays.equals(first.toBytes(), second.toBytes()));
    try (Checkpoint checkpoint = Checkpoints.open(latents)) {
      TensorInfo tensor = checkpoint.tensors().values().iterator().next();
      assertEquals("latents", tensor.name());
      assertEquals(Shape.of(3, 16, 8, 8), tensor.shape());
      assertEquals("red apple", checkpoint.metadata().get("prompt"));
    }
  }

  @Test
  void aQuantizedTransformerTakesThePlaceOfThePipelines() throws Exception {
    Path quantized = folder.resolve("nf4");
    CommandRun conversion =
        CommandRun.of("quantize", MODEL.resolve("transformer"), "--nf4", "-q", "-o", quantized);
    assertEquals(0, conversion.code(), conversion.err());
    CommandRun run =
        generate(
            "-o", folder.resolve("a.png"), "--transformer", quantized, "--steps", "2", "--json");
    assertEquals(0, run.code(), run.err());
    JsonNode transformer = run.json().get("components").get(1);
    assertEquals(quantized.toString(), transformer.get("path").textValue());
    assertTrue(transformer.get("weights").textValue().contains("nf4"), transformer.toString());
    assertTrue(transformer.get("weight_bytes").longValue() < 6_000_000, transformer.toString());

    CommandRun comparison =
        generate(
            "-o",
            folder.resolve("b.png"),
            "--transformer",
            quantized,
            "--steps",
            "1",
            "--compare",
            "--cache",
            "none");
    assertEquals(0, comparison.code(), comparison.err());
    assertTrue(comparison.out().contains("is quantized already (nf4)"), comparison.out());
  }

  @Test
  void comparisonsMeasureEveryWayAgainstTheFirst() throws Exception {
    Path output = folder.resolve("compare.png");
    CommandRun run =
        generate("-o", output, "--steps", "6", "--cache", "fora:N=2", "--compare", "--json");
    assertEquals(0, run.code(), run.err());
    assertEquals(List.of("compare.png"), names());
    JsonNode variants = run.json().get("variants");
    List<String> ways = new ArrayList<>();
    for (JsonNode variant : variants) {
      ways.add(variant.get("weights").textValue() + " " + variant.get("cache").textValue());
    }
    assertEquals(
        List.of(
            "dense none",
            "dense fora:N=2",
            "nf4 none",
            "nf4 fora:N=2",
            "int8 none",
            "int8 fora:N=2"),
        ways);
    assertTrue(variants.get(0).get("psnr_db").isNull());
    assertEquals(1, variants.get(0).get("ssim").doubleValue(), 1e-9);
    double nf4 = variants.get(2).get("psnr_db").doubleValue();
    double int8 = variants.get(4).get("psnr_db").doubleValue();
    assertTrue(20 < nf4 && nf4 < int8, nf4 + " and " + int8);
    assertTrue(
        variants.get(2).get("transformer_bytes").longValue()
            < variants.get(4).get("transformer_bytes").longValue());
    assertEquals(0, variants.get(2).get("images").get(0).get("reused").intValue());
    assertTrue(variants.get(3).get("images").get(0).get("reused").intValue() > 0);
    assertTrue(run.json().get("notes").get(0).textValue().contains("quantize --nf4"), run.out());
    RgbImage sheet = Pictures.read(output);
    assertTrue(sheet.width() >= 8 + 2 * 200 && sheet.height() > 8 + 3 * 200, "no 2 x 3 pictures");
  }

  @Test
  void calibrationWritesWhatCachesRead() throws Exception {
    Path prompts = Files.writeString(folder.resolve("prompts.txt"), "red apple\n\nrocket\n");
    Path numbers = folder.resolve("numbers.json");
    CommandRun run =
        CommandRun.of(
            "calibrate", MODEL, "--prompts", prompts, "--steps", "8", "-o", numbers, "--json");
    assertEquals(0, run.code(), run.err());
    JsonNode json = run.json();
    assertEquals(5, json.get("coefficients").size());
    assertEquals(8, json.get("ratios").size());
    assertEquals(1, json.get("ratios").get(0).doubleValue());
    assertTrue(json.get("rms_error").doubleValue() < 0.5, run.out());
    drawn("tea.png", "--steps", "8", "--cache", "teacache:coefficients=" + numbers);
    drawn("mag.png", "--steps", "8", "--cache", "magcache:ratios=" + numbers);
  }

  @Test
  void whatIsNoPipelineIsRefusedAndNothingIsLeft() throws Exception {
    Path output = folder.resolve("out.png");
    Path part = MODEL.resolve("transformer");
    CommandRun run = CommandRun.of("generate", part, "--prompt", "x", "-o", output);
    assertEquals(1, run.code());
    assertTrue(run.lastErrorLine().startsWith("error: " + part + ": "), run.err());
    assertTrue(run.lastErrorLine().contains("model_index.json"), run.err());
    CommandRun none = CommandRun.of("generate", "no/such", "--prompt", "x", "-o", output);
    assertEquals(1, none.code());
    assertEquals("error: no/such: no such file or directory", none.lastErrorLine());
    assertEquals(List.of(), names());
  }

  @Test
  void anInterruptedGenerationLeavesNothing() throws Exception {
    var nowhere = new java.io.PrintStream(java.io.OutputStream.nullOutputStream(), false);
    Session session = Session.plain(nowhere, nowhere);
    session.interruption().begin();
    String[] command = {
      "generate", MODEL.toString(), "-p", "x", "-o", folder.resolve("out.png").toString()
    };
    assertEquals(130, NibbleMain.run(command, session));
    assertEquals(List.of(), names());
  }
}
