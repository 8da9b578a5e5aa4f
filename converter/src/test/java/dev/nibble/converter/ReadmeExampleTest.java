package dev.nibble.converter;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.fixtures.ReadmeText;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The Java in the README is the Java that compiles and runs here.
class ReadmeExampleTest {
  @TempDir Path folder;

  @Test
  void theExampleRuns() throws IOException {
    Path output = folder.resolve("out");
    ConversionReport report =
        ReadmeExample.quantize(Fixtures.path("models/emoji-qwen/transformer-qwen"), output);
    assertTrue(report.outputs().contains(output.resolve("config.json")), "" + report.outputs());
  }

  @Test
  void theReadmeShowsTheExample() throws IOException {
    assertTrue(
        ReadmeText.shows("converter/src/test/java/dev/nibble/converter/ReadmeExample.java"),
        "the README's example differs");
  }
}
