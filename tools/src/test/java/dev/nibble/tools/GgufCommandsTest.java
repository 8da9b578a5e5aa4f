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
import org.junit.jupiter.params.provider.ValueSource;

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
    "--gguf Q9_0, '--gguf takes F32, F16, BF16, Q4_0,'",
    "--gguf Q8_0 --nf4, two schemes for every layer",
    "--nf4 --imatrix x.dat, --imatrix belongs to --gguf",
    "--gguf Q8_0 --format gptq, --format is about safetensors files",
    "--scheme gguf:q8_0 --format awq, --format is about safetensors files",
    "--gguf F16 --imatrix x.dat, --imatrix belongs to --gguf",
    "--gguf BF16 --nf4, two schemes for every layer",
    "--scheme gguf:q9, 'nibble writes q4_0,'"
  })
  void wrongUsageIsSaid(String options, String part) {
    String[] words = ("quantize " + QWEN + " " + options).split(" ", -1);
    CommandRun run = CommandRun.of((Object[]) words);
    assertEquals(2, run.code(), run.err());
    assertTrue(run.lastErrorLine().contains(part), run.err());
  }

  @Test
  void plainFilesAreCastAndNotQuantized() throws Exception {
    String f16 = file("f16.gguf");
    CommandRun dry = CommandRun.of("quantize", QWEN, "--gguf", "f16", "-o", f16, "--dry-run");
    assertTrue(dry.out().contains("cast:F16"), dry.out());
    assertFalse(Files.exists(Path.of(f16)));
    String f32 = file("f32.gguf");
    CommandRun run =
        CommandRun.of("quantize", QWEN, "--gguf", "F16", "-o", f16, "--gguf", "F32", "-o", f32);
    assertEquals(0, run.code(), run.err());
    assertTrue(run.out().contains("cast       141"), run.out());
    assertFalse(run.out().contains("quantized"), run.out());
    assertFalse(run.out().contains("bits per weight"), run.out());
    assertTrue(run.out().contains("2.00x larger"), run.out());
    CommandRun list = CommandRun.of("inspect", f16, "transformer_blocks.0.attn.to_q");
    assertTrue(list.out().contains("F16    192x192"), list.out());
    assertEquals(0, CommandRun.of("verify", QWEN, f32, "--max-rel-error", "0").code());
    JsonNode json =
        CommandRun.of("quantize", QWEN, "--gguf", "BF16", "-o", file("x.gguf"), "--json").json();
    assertEquals(0, json.path("totals").path("tensors_quantized").asInt());
    assertEquals(141, json.path("totals").path("tensors_kept").asInt());
  }

  @Test
  void plainFilesKeepTheLibrarysNamesOnDemand() {
    String transformer = Fixtures.path("models/emoji-zimage/transformer").toString();
    String gguf = file("z.gguf");
    CommandRun run =
        CommandRun.of(
            "quantize", transformer, "--gguf", "BF16", "--names", "diffusers", "-o", gguf);
    assertEquals(0, run.code(), run.err());
    assertTrue(
        CommandRun.of("inspect", gguf).out().contains("layers.0.attention.to_q.weight"), run.out());
  }

  @ParameterizedTest
  @ValueSource(strings = {"Q8_0", "BF16"})
  void aPipelineIsNoModel(String mix) {
    String pipeline = Fixtures.path("models/emoji-zimage").toString();
    CommandRun run = CommandRun.of("quantize", pipeline, "--gguf", mix, "-o", file("x.gguf"));
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
