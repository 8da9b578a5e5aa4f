package dev.nibble.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.fixtures.Fixtures;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ExportCommandTest {
  private static final Path QWEN = Fixtures.path("models/emoji-qwen/transformer-qwen");

  @TempDir Path folder;

  @Test
  void aModelOfOtherSchemesIsRefusedWithTheCure() {
    Path target = folder.resolve("out");
    CommandRun run = CommandRun.of("export", QWEN, "-o", target);
    assertEquals(1, run.code());
    assertTrue(run.lastErrorLine().contains("int4:g64:bf16+svdRANK"), run.err());
    assertFalse(Files.exists(target));
  }

  @Test
  void anOutputMustBeNamed() {
    assertEquals(2, CommandRun.of("export", QWEN).code());
  }
}
