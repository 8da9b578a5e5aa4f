package dev.nibble.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.fixtures.Fixtures;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class InspectCommandTest {
  private static final Path QWEN = Fixtures.path("models/emoji-qwen/transformer-qwen");

  @Test
  void listsTensorsTotalsAndFiles() {
    CommandRun run = CommandRun.of("inspect", QWEN);
    assertEquals(0, run.code(), run.err());
    assertTrue(run.out().contains("transformer_blocks.0.attn.to_q.weight"), run.out());
    assertTrue(run.out().lines().anyMatch(line -> line.startsWith("total ")), run.out());
    assertEquals(2, run.out().lines().filter(line -> line.startsWith("file  ")).count());
    assertEquals("", run.err());
  }

  @Test
  void globLeavesOutTheRest() {
    CommandRun run = CommandRun.of("inspect", QWEN, "*.attn.to_q.weight");
    assertTrue(run.out().contains("transformer_blocks.0.attn.to_q.weight"), run.out());
    assertFalse(run.out().contains("to_k"), run.out());
  }

  @ParameterizedTest
  @CsvSource({
    "*.weight, a.weight, true",
    "*.weight, aXweight, false",
    "*.weight, a.weight.absmax, false",
    "a*, a.b, true",
    "a*, ba, false",
    "img_mod, blocks.0.img_mod.1.weight, true",
    "img_mod, blocks.0.ximg_mod.weight, false",
    "img_mod, blocks.0.img_mod2.weight, false",
    "blocks.1, blocks.10.weight, false",
    "blocks.1, blocks.1.to_q.weight, true",
    "attn.to_?, blocks.1.attn.to_q.weight, true",
    "attn.to_?, blocks.1.attn.to_out.weight, false",
    "to_q.*, a.to_q.weight.absmax, true",
    "a***z, a.b.z, true"
  })
  void patternsMatchAsThoseOfSkip(String pattern, String name, boolean matches) {
    assertEquals(matches, InspectCommand.pattern(pattern).matcher(name).matches());
  }

  @Test
  void aPatternThatMatchesNothingFails() {
    CommandRun run = CommandRun.of("inspect", QWEN, "no_such_part");
    assertEquals(1, run.code());
    assertTrue(run.lastErrorLine().startsWith("error: "), run.err());
    assertTrue(run.lastErrorLine().contains("'no_such_part' matches no tensor"), run.err());
    assertEquals("", run.out());
  }

  @Test
  void jsonHasTheKeysOfEveryCommand() throws Exception {
    JsonNode json = CommandRun.of("inspect", QWEN, "--json").json();
    for (String key : List.of("tool", "version", "inputs", "outputs", "tensors", "totals")) {
      assertTrue(json.has(key), key);
    }
    assertEquals(2, json.get("inputs").size());
    long bytes = 0;
    for (JsonNode tensor : json.get("tensors")) {
      for (String key :
          List.of("name", "shape", "source_dtype", "scheme", "reason", "bytes_in", "bytes_out")) {
        assertTrue(tensor.has(key), key);
      }
      bytes += tensor.get("bytes_in").longValue();
    }
    assertEquals(bytes, json.get("totals").get("bytes_in").longValue());
  }

  @Test
  void aPipelineDirectoryNamesItsComponents() {
    CommandRun run = CommandRun.of("inspect", Fixtures.path("models/emoji-zimage"));
    assertEquals(1, run.code());
    assertTrue(run.lastErrorLine().contains("transformer"), run.err());
  }

  @Test
  void namesFromFilesCannotSteerTheTerminal() {
    CommandRun run =
        CommandRun.of(
            "inspect", Fixtures.path("goldens/safetensors_malformed/nul_escape_name.safetensors"));
    assertEquals(-1, run.out().indexOf('\0'));
    assertEquals(-1, run.err().indexOf('\0'));
  }
}
