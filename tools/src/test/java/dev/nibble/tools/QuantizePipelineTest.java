package dev.nibble.tools;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.runtime.image.Pictures;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// `quantize` of a whole pipeline, of several outputs, and with other names.
class QuantizePipelineTest {
  private static final Path PIPELINE = Fixtures.path("models/emoji-zimage");
  private static final Path TRANSFORMER = PIPELINE.resolve("transformer");

  @TempDir private Path folder;

  private List<String> names() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> String.valueOf(file.getFileName())).sorted().toList();
    }
  }

  private static CommandRun done(Object... args) {
    CommandRun run = CommandRun.of(args);
    assertEquals(0, run.code(), run.err());
    return run;
  }

  @Test
  void theQuantizedPipelineDrawsWhatItsComponentsDraw() throws IOException {
    Path output = folder.resolve("z");
    done("quantize", PIPELINE, "--nf4", "--component", "text_encoder=int8", "-q", "-o", output);
    Object[] drawing = {"generate", output, "--prompt", "red apple", "--seed", "1000", "-q"};
    Path whole = folder.resolve("whole.png");
    done(with(drawing, "--steps", "4", "-o", whole));
    for (String scheme : List.of("transformer:nf4", "text_encoder:int8")) {
      String[] parts = scheme.split(":");
      Path part = folder.resolve(parts[0]);
      done("quantize", PIPELINE.resolve(parts[0]), "--" + parts[1], "-q", "-o", part);
    }
    drawing[1] = PIPELINE;
    Path pieces = folder.resolve("pieces.png");
    done(
        with(
            drawing,
            "--steps",
            "4",
            "--transformer",
            folder.resolve("transformer"),
            "--text-encoder",
            folder.resolve("text_encoder"),
            "-o",
            pieces));
    assertArrayEquals(Pictures.read(pieces).toBytes(), Pictures.read(whole).toBytes());
  }

  private static Object[] with(Object[] first, Object... more) {
    return Stream.concat(Stream.of(first), Stream.of(more)).toArray();
  }

  @Test
  void aTableShowsEveryComponent() throws Exception {
    Path output = folder.resolve("z");
    CommandRun plan = done("quantize", PIPELINE, "--nf4", "-o", output, "--dry-run");
    assertEquals(List.of(), names());
    CommandRun run =
        done("quantize", PIPELINE, "--nf4", "-o", output, "--report", folder.resolve("r.html"));
    for (String word :
        List.of("transformer ", "text_encoder ", "vae ", "kept", "other files", "copied")) {
      assertTrue(plan.out().contains(word), word + " missing in\n" + plan.out());
      assertTrue(run.out().contains(word), word + " missing in\n" + run.out());
    }
    assertTrue(plan.out().contains("transformer/t_embedder.mlp.0.weight"), plan.out());
    assertTrue(
        Files.readString(folder.resolve("r.html")).contains("text_encoder/"),
        "report by component");
    JsonNode json = done("quantize", PIPELINE, "--nf4", "-o", output, "--force", "--json").json();
    for (JsonNode path : json.get("outputs")) {
      assertTrue(Files.isRegularFile(Path.of(path.textValue())), path.textValue());
    }
    assertEquals("nf4", json.get("components").get("transformer").get("scheme").textValue());
    assertEquals("keep", json.get("components").get("vae").get("scheme").textValue());
  }

  @Test
  void severalOutputsTakeTheSchemesBeforeThem() throws Exception {
    Path a = folder.resolve("a");
    Path b = folder.resolve("b.safetensors");
    Path c = folder.resolve("c");
    CommandRun run =
        done(
            "quantize",
            TRANSFORMER,
            "--nf4",
            "--block-size",
            "128",
            "--no-double-quant",
            "-o",
            a,
            "--int8",
            "--scheme",
            "feed_forward=absmax8",
            "-o",
            b,
            "--skip",
            "t_embedder",
            "--nf4",
            "-o",
            c,
            "--json");
    JsonNode json = run.json();
    assertEquals(3, json.size());
    List<List<String>> alone =
        List.of(
            List.of("--nf4", "--block-size", "128", "--no-double-quant", "-o", a + "-alone"),
            List.of(
                "--int8",
                "--scheme",
                "feed_forward=absmax8",
                "-o",
                folder + "/b-alone.safetensors"),
            List.of("--nf4", "-o", c + "-alone"));
    for (List<String> options : alone) {
      done(
          with(
              new Object[] {"quantize", TRANSFORMER, "--skip", "t_embedder", "-q"},
              options.toArray()));
    }
    String weights = "diffusion_pytorch_model.safetensors";
    assertEquals(-1, Files.mismatch(a.resolve(weights), Path.of(a + "-alone", weights)));
    assertEquals(-1, Files.mismatch(b, folder.resolve("b-alone.safetensors")));
    assertEquals(-1, Files.mismatch(c.resolve(weights), Path.of(c + "-alone", weights)));
  }

  @Test
  void severalOutputsAreToldApartOrRefused() throws IOException {
    Path a = folder.resolve("a");
    Path b = folder.resolve("b");
    assertRefused(2, "has no scheme", "--nf4", "-o", a, "-o", b);
    assertRefused(2, "comes after the last -o", "--nf4", "-o", a, "--fp4", "-o", b, "--int8");
    assertRefused(2, "two schemes for every layer", "--nf4", "--int8", "-o", a);
    assertRefused(2, "two schemes for every layer", "--nf4", "--nf4", "-o", a);
    assertRefused(1, "in the same place", "--nf4", "-o", a, "--int8", "-o", a.resolve("x"));
    assertRefused(
        2, "shows one output", "--nf4", "-o", a, "--int8", "-o", b, "--report", a + ".html");
    assertEquals(List.of(), names());
    // With one output, the order does not matter.
    done("quantize", TRANSFORMER, "-o", a, "-q", "--int8");
    assertTrue(Files.isDirectory(a));
  }

  private static void assertRefused(int code, String message, Object... options) {
    CommandRun run = CommandRun.of(with(new Object[] {"quantize", TRANSFORMER}, options));
    assertEquals(code, run.code(), run.err());
    assertTrue(run.lastErrorLine().contains(message), run.err());
  }

  @Test
  void componentsAreSpelledNameAndScheme() {
    for (String wrong : List.of("transformer", "=nf4", "transformer=", "transformer=nf5")) {
      CommandRun run = CommandRun.of("quantize", PIPELINE, "--nf4", "--component", wrong);
      assertEquals(2, run.code(), run.err());
      assertTrue(run.lastErrorLine().contains("--component"), run.err());
    }
    assertRefused(
        1,
        "--component and --format NAME=F name parts of pipelines",
        "--component",
        "transformer=nf4");
    assertRefused(2, "names 'vae' twice", "--component", "vae=nf4", "--component", "vae=keep");
  }

  @Test
  void formatsMayBeOfOneComponent() throws Exception {
    Path output = folder.resolve("z");
    done(
        "quantize",
        PIPELINE,
        "--nf4",
        "--component",
        "text_encoder=int4:g32",
        "--format",
        "text_encoder=gptq",
        "-q",
        "-o",
        output);
    String encoder = done("inspect", output.resolve("text_encoder")).out();
    assertTrue(encoder.contains(".mlp.up_proj.qweight"), encoder);
    String transformer = done("inspect", output.resolve("transformer")).out();
    assertTrue(transformer.contains(".absmax"), transformer);
    Object[] drawing = {"generate", output, "--prompt", "red apple", "--seed", "1000", "-q"};
    done(with(drawing, "--steps", "4", "-o", folder.resolve("drawn.png")));
  }

  @Test
  void formatsAreSpelledFormatOrNameAndFormat() {
    for (String wrong : List.of("=gptq", "text_encoder=", "text_encoder=exl2")) {
      assertRefused(2, "--format takes", "--nf4", "--format", wrong);
    }
    assertRefused(2, "--format is given twice", "--nf4", "--format", "awq", "--format", "gptq");
    assertRefused(2, "give a scheme, or leave it out", "--names", "original", "--format", "gptq");
  }

  @Test
  void namesFollowTheOption() throws Exception {
    Path original = folder.resolve("original.safetensors");
    done("quantize", TRANSFORMER, "--nf4", "--names", "original", "-o", original, "-q");
    String stored = done("inspect", original).out();
    assertTrue(stored.contains(".attention.qkv.weight"), stored);
    assertFalse(stored.contains("to_q"), stored);
    Path plain = folder.resolve("plain.safetensors");
    CommandRun renamed =
        done("quantize", TRANSFORMER, "--names", "original", "-o", plain, "--json");
    assertEquals(0, renamed.json().get("totals").get("tensors_quantized").intValue());
    assertTrue(done("inspect", plain).out().contains(".attention.qkv.weight"));
    assertRefused(2, "--names takes diffusers or original", "--nf4", "--names", "comfy");
  }

  @Test
  void aQuantizedSourceNeedsAnOption() {
    Path once = folder.resolve("once");
    done("quantize", TRANSFORMER, "--nf4", "-o", once, "-q");
    CommandRun refused = CommandRun.of("quantize", once, "--int8");
    assertEquals(1, refused.code());
    assertTrue(refused.lastErrorLine().contains("--allow-requantize"), refused.err());
    CommandRun again =
        done("quantize", once, "--int8", "--allow-requantize", "-o", folder.resolve("twice"));
    assertTrue(again.out().contains("quantized already, by bitsandbytes"), again.out());
  }
}
