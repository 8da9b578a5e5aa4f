package dev.nibble.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.fixtures.Fixtures;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// GGUF files on the command line: written, listed, compared, decoded, quantized again.
class GgufCommandsTest {
  private static final String QWEN = Fixtures.path("models/emoji-qwen/transformer-qwen").toString();

  @TempDir Path folder;

  private String file(String name) {
    return folder.resolve(name).toString();
  }

  @Test
  void writesListsComparesAndDecodes() throws Exception {
    String gguf = file("q.gguf");
    CommandRun run = CommandRun.of("quantize", QWEN, "--gguf", "q8_0", "-o", gguf);
    assertEquals(0, run.code(), run.err());
    assertTrue(run.out().contains("architecture 'qwen_image'"), run.out());

    CommandRun list = CommandRun.of("inspect", gguf, "transformer_blocks.0.attn.to_q");
    assertTrue(list.out().contains("Q8_0   192x192"), list.out());
    assertTrue(list.out().contains("gguf:q8_0"), list.out());
    assertTrue(list.out().contains("general.file_type = 7"), list.out());
    JsonNode json = CommandRun.of("inspect", gguf, "--json").json();
    assertEquals(141, json.path("totals").path("tensors").asInt());

    assertEquals(0, CommandRun.of("verify", QWEN, gguf, "--min-snr", "44").code());
    String plain = file("plain.safetensors");
    CommandRun decode = CommandRun.of("dequantize", gguf, "--dtype", "f32", "-o", plain);
    assertEquals(0, decode.code(), decode.err());
    assertEquals(0, CommandRun.of("verify", gguf, plain, "--max-rel-error", "0").code());
  }

  @Test
  void quantizesAgainOnlyOnDemandAndSaysSo() {
    String gguf = file("q.gguf");
    assertEquals(0, CommandRun.of("quantize", QWEN, "--gguf", "Q8_0", "-q", "-o", gguf).code());
    String nf4 = file("nf4.safetensors");
    CommandRun refused = CommandRun.of("quantize", gguf, "--nf4", "-o", nf4);
    assertEquals(1, refused.code());
    assertTrue(refused.lastErrorLine().contains("--allow-requantize"), refused.err());
    assertFalse(Files.exists(Path.of(nf4)));
    CommandRun allowed = CommandRun.of("quantize", gguf, "--nf4", "--allow-requantize", "-o", nf4);
    assertEquals(0, allowed.code(), allowed.err());
    assertTrue(allowed.out().contains("quantized already, by GGUF (Q8_0)"), allowed.out());
  }

  @ParameterizedTest
  @CsvSource({
    "--gguf Q9_0, '--gguf takes Q4_0,'",
    "--gguf Q8_0 --nf4, two schemes for every layer",
    "--nf4 --imatrix x.dat, --imatrix belongs to --gguf",
    "--gguf Q8_0 --format gptq, --format is about safetensors files",
    "--scheme gguf:q8_0 --format awq, --format is about safetensors files",
    "--scheme gguf:q9, 'nibble writes q4_0,'"
  })
  void wrongUsageIsSaid(String options, String part) {
    String[] words = ("quantize " + QWEN + " " + options).split(" ", -1);
    CommandRun run = CommandRun.of((Object[]) words);
    assertEquals(2, run.code(), run.err());
    assertTrue(run.lastErrorLine().contains(part), run.err());
  }

  @Test
  void aPipelineIsNoModel() {
    String pipeline = Fixtures.path("models/emoji-zimage").toString();
    CommandRun run = CommandRun.of("quantize", pipeline, "--gguf", "Q8_0", "-o", file("x.gguf"));
    assertEquals(1, run.code());
    assertTrue(run.lastErrorLine().contains("transformer"), run.err());
  }

  @Test
  void dequantizeWritesNoGguf() {
    CommandRun run = CommandRun.of("dequantize", QWEN, "-o", file("x.gguf"));
    assertEquals(2, run.code());
    assertTrue(run.lastErrorLine().contains("name X.safetensors"), run.err());
  }
}
