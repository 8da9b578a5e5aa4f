package dev.nibble.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.fixtures.Fixtures;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

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
    assertTrue("abc.weight".matches(InspectCommand.regex("*.weight")));
    assertFalse("abcXweight".matches(InspectCommand.regex("*.weight")));
    assertTrue("a.b".matches(InspectCommand.regex("a*")));
    assertFalse("ba".matches(InspectCommand.regex("a*")));
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
