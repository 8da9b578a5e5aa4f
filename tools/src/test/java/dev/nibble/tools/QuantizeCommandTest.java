package dev.nibble.tools;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Whole commands on a trained miniature.
class QuantizeCommandTest {
  private static final Path QWEN = Fixtures.path("models/emoji-qwen/transformer-qwen");

  @TempDir private Path folder;

  private List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.toList();
    }
  }

  @Test
  void theReadmesCommandPrintsItsTable() {
    Path output = folder.resolve("qwen-nf4");
    CommandRun run = CommandRun.of("quantize", QWEN, "--nf4", "--skip", "img_mod", "-o", output);
    assertEquals(0, run.code(), run.err());
    for (String word :
        List.of("quantized", "kept", "x smaller", "bits per weight", "mean SNR", "GB/s", "note")) {
      assertTrue(run.out().contains(word), word + " missing in\n" + run.out());
    }
    assertTrue(Files.isRegularFile(output.resolve("config.json")));
    assertEquals("", run.err());
  }

  @Test
  void jsonAgreesWithTheFilesWritten() throws Exception {
    Path output = folder.resolve("out");
    JsonNode json = CommandRun.of("quantize", QWEN, "--int8", "-o", output, "--json").json();
    long bytes = 0;
    boolean measured = false;
    for (JsonNode tensor : json.get("tensors")) {
      bytes += tensor.get("bytes_out").longValue();
      if (tensor.get("scheme").textValue().equals("int8")) {
        assertTrue(tensor.get("snr_db").doubleValue() > 30, tensor.toString());
        measured = true;
      }
    }
    assertTrue(measured);
    assertEquals(bytes, json.get("totals").get("bytes_out").longValue());
    JsonNode stored = CommandRun.of("inspect", output, "--json").json();
    assertEquals(bytes, stored.get("totals").get("bytes_in").longValue());
    for (JsonNode path : json.get("outputs")) {
      assertTrue(Files.isRegularFile(Path.of(path.textValue())), path.textValue());
    }
  }

  @Test
  void dryRunTellsTheExactPlanAndWritesNothing() throws Exception {
    Path output = folder.resolve("out");
    CommandRun run =
        CommandRun.of("quantize", QWEN, "--int8", "--skip", "img_mod", "-o", output, "--dry-run");
    assertEquals(0, run.code(), run.err());
    assertTrue(run.out().contains("img_mod"), run.out());
    assertTrue(
        run.out()
            .lines()
            .anyMatch(line -> line.startsWith("int8 ") && line.contains("to_q.weight")),
        run.out());
    assertEquals(List.of(), files());
    JsonNode json =
        CommandRun.of("quantize", QWEN, "--int8", "-o", output, "--dry-run", "--json").json();
    assertEquals(List.of(), files());
    long planned = json.get("totals").get("bytes_out").longValue();
    JsonNode done = CommandRun.of("quantize", QWEN, "--int8", "-o", output, "--json").json();
    assertEquals(planned, done.get("totals").get("bytes_out").longValue());

    CommandRun again = CommandRun.of("quantize", QWEN, "--int8", "-o", output, "--dry-run");
    assertEquals(0, again.code(), again.err());
    assertTrue(again.err().contains("without --force"), again.err());
  }

  @ParameterizedTest
  @CsvSource({"out.safetensors, false", "out/, true"})
  void theSpellingOfTheOutputChoosesItsForm(String name, boolean directory) {
    CommandRun run = CommandRun.of("quantize", QWEN, "--nf4", "-q", "-o", folder + "/" + name);
    assertEquals(0, run.code(), run.err());
    assertEquals("", run.out());
    assertEquals(directory, Files.isDirectory(folder.resolve(name)));
    assertEquals(!directory, Files.isRegularFile(folder.resolve(name)));
  }

  @Test
  void skipTakesCommasAndRepetitions() throws Exception {
    JsonNode json =
        CommandRun.of(
                "quantize",
                QWEN,
                "--nf4",
                "--skip",
                "img_mod, txt_mod",
                "--skip",
                "proj_out",
                "--scheme",
                "*.attn.to_q=nf4:128",
                "-o",
                folder.resolve("out"),
                "--dry-run",
                "--json")
            .json();
    for (JsonNode tensor : json.get("tensors")) {
      String name = tensor.get("name").textValue();
      if (name.matches(".*(img_mod|txt_mod).*|proj_out.*")) {
        assertEquals("keep", tensor.get("scheme").textValue(), name);
      }
      if (name.endsWith(".attn.to_q.weight")) {
        assertEquals("nf4:128", tensor.get("scheme").textValue(), name);
      }
    }
  }

  @Test
  void outputThatExistsNeedsForce() {
    Path output = folder.resolve("out");
    Object[] command = {"quantize", QWEN, "--int8", "-q", "-o", output};
    assertEquals(0, CommandRun.of(command).code());
    CommandRun second = CommandRun.of(command);
    assertEquals(1, second.code());
    assertTrue(second.lastErrorLine().contains("--force"), second.err());
    assertEquals(0, CommandRun.of("quantize", QWEN, "--int8", "--force", "-o", output).code());
  }

  @Test
  void verifyMeasuresAndGates() {
    Path output = folder.resolve("out");
    assertEquals(0, CommandRun.of("quantize", QWEN, "--nf4", "-q", "-o", output).code());
    assertEquals(0, CommandRun.of("verify", QWEN, output, "--min-snr", "15").code());
    assertEquals(0, CommandRun.of("verify", QWEN, output, "--max-rel-error", "0.2").code());
    assertEquals(0, CommandRun.of("verify", QWEN, QWEN, "--bit-exact").code());
    for (String[] gate :
        List.of(new String[] {"--min-snr", "40"}, new String[] {"--max-rel-error", "0.01"})) {
      CommandRun run = CommandRun.of("verify", QWEN, output, gate[0], gate[1]);
      assertEquals(1, run.code(), gate[0]);
      assertTrue(run.lastErrorLine().contains("do not meet " + gate[0]), run.err());
    }
    CommandRun exact = CommandRun.of("verify", QWEN, output, "--bit-exact");
    assertEquals(1, exact.code());
    assertEquals(10, exact.out().lines().filter(line -> line.contains("BF16 / nf4")).count());
  }

  @Test
  void dequantizedIsWhatTheQuantizedDecodesTo() throws Exception {
    Path quantized = folder.resolve("q");
    Path plain = folder.resolve("plain");
    assertEquals(0, CommandRun.of("quantize", QWEN, "--nf4", "-q", "-o", quantized).code());
    CommandRun run = CommandRun.of("dequantize", quantized, "--dtype", "f32", "-o", plain);
    assertEquals(0, run.code(), run.err());
    assertTrue(
        run.out().lines().anyMatch(line -> line.matches("wrote .*" + plain + "/")), run.out());
    JsonNode same = CommandRun.of("verify", quantized, plain, "--json").json();
    assertEquals(0, same.get("totals").get("max_error").doubleValue());
    JsonNode config = new ObjectMapper().readTree(Files.readAllBytes(plain.resolve("config.json")));
    assertFalse(config.has("quantization_config"));
    JsonNode original =
        new ObjectMapper().readTree(Files.readAllBytes(QWEN.resolve("config.json")));
    assertEquals(original, config);
    CommandRun again = CommandRun.of("dequantize", QWEN, "-o", folder.resolve("x"));
    assertEquals(1, again.code());
    assertTrue(again.lastErrorLine().contains("holds no quantized weight"), again.err());
  }

  @Test
  void namesAndShapesThatDifferFailWithoutAGate() throws Exception {
    Path first = folder.resolve("a.safetensors");
    Path second = folder.resolve("b.safetensors");
    TinyFile.write(first, "x:[2]", "y:[4]", "z:[1]");
    TinyFile.write(second, "x:[2]", "y:[2,2]", "w:[1]");
    CommandRun run = CommandRun.of("verify", first, second);
    assertEquals(1, run.code());
    assertTrue(run.out().contains("only in the first: z"), run.out());
    assertTrue(run.out().contains("only in the second: w"), run.out());
    assertTrue(run.out().contains("shape differs: 4 / 2x2  y"), run.out());
    assertTrue(run.lastErrorLine().startsWith("error: the checkpoints differ"), run.err());
  }

  @Test
  void theReportIsWritten() throws Exception {
    Path page = folder.resolve("report.html");
    CommandRun run =
        CommandRun.of(
            "quantize", QWEN, "--nf4", "-q", "-o", folder.resolve("out"), "--report", page);
    assertEquals(0, run.code(), run.err());
    assertTrue(Files.readString(page).contains("transformer_blocks.0.attn.to_q.weight"));
    CommandRun bad =
        CommandRun.of("quantize", QWEN, "--nf4", "--report", folder.resolve("none/report.html"));
    assertEquals(2, bad.code());
  }

  private Path copyOfModel() throws IOException {
    Path copy = Files.createDirectories(folder.resolve("source"));
    try (Stream<Path> files = Files.list(QWEN)) {
      for (Path file : files.toList()) {
        Files.copy(file, copy.resolve(file.getFileName()));
      }
    }
    return copy;
  }

  @Test
  void theReportNeverReplacesTheSourceOrTheOutput() throws Exception {
    Path source = copyOfModel();
    Path output = folder.resolve("out");
    Path link = Files.createSymbolicLink(folder.resolve("link"), source.resolve("config.json"));
    List<Path> bad = new ArrayList<>(List.of(link, output));
    try (Stream<Path> files = Files.list(source)) {
      bad.addAll(files.toList());
    }
    for (Path page : bad) {
      boolean existed = Files.exists(page);
      byte[] before = existed ? Files.readAllBytes(page) : new byte[0];
      CommandRun run =
          CommandRun.of("quantize", source, "--nf4", "-o", output, "--force", "--report", page);
      assertEquals(2, run.code(), page + run.err());
      assertTrue(run.lastErrorLine().startsWith("error: --report " + page), run.err());
      assertTrue(run.lastErrorLine().endsWith("choose another file"), run.err());
      assertFalse(Files.exists(output), page.toString());
      assertArrayEquals(before, existed ? Files.readAllBytes(page) : new byte[0]);
    }
    Path file = folder.resolve("one.safetensors");
    CommandRun one = CommandRun.of("quantize", source, "--nf4", "-o", file, "--report", file);
    assertEquals(2, one.code(), one.err());
    assertFalse(Files.exists(file));
    assertEquals(0, CommandRun.of("quantize", source, "--nf4", "-q", "-o", output).code());
    Path inside = output.resolve("page.html");
    CommandRun within =
        CommandRun.of("quantize", source, "--nf4", "-o", output, "--force", "--report", inside);
    assertEquals(2, within.code(), within.err());
    assertTrue(within.lastErrorLine().contains("is where the output goes"), within.err());
    assertFalse(Files.exists(inside));
  }

  @Test
  void theReportReplacesEarlierReportsAndOtherFilesOnlyByForce() throws Exception {
    Path page = Files.writeString(folder.resolve("page.html"), "<!doctype html>mine");
    Object[] command = {
      "quantize", QWEN, "--nf4", "-q", "-o", folder.resolve("out"), "--report", page
    };
    CommandRun run = CommandRun.of(command);
    assertEquals(2, run.code());
    assertTrue(run.lastErrorLine().contains("--force"), run.err());
    assertEquals("<!doctype html>mine", Files.readString(page));
    assertEquals(List.of(page), files());
    List<Object> forced = new ArrayList<>(List.of(command));
    forced.add("--force");
    assertEquals(0, CommandRun.of(forced.toArray()).code());
    assertTrue(Files.readString(page).contains("generator"));
    CommandRun again =
        CommandRun.of(
            "quantize", QWEN, "--int8", "-q", "-o", folder.resolve("second"), "--report", page);
    assertEquals(0, again.code(), again.err());
    assertTrue(Files.readString(page).contains("--int8"));
    assertEquals(3, files().size());
  }

  @Test
  void nothingComparedHasNoError() throws Exception {
    Path first = folder.resolve("a.safetensors");
    Path second = folder.resolve("b.safetensors");
    TinyFile.write(first, "x:[2]");
    TinyFile.write(second, "y:[2]");
    CommandRun run = CommandRun.of("verify", first, second);
    assertEquals(1, run.code());
    assertTrue(run.out().lines().anyMatch(line -> line.matches("compared +0 tensors")), run.out());
    assertFalse(run.out().contains("error"), run.out());
    assertFalse(run.out().contains("SNR"), run.out());
    JsonNode totals = CommandRun.of("verify", first, second, "--json").json().get("totals");
    assertFalse(totals.has("relative_error"), totals.toString());
  }
}
