package dev.nibble.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.fixtures.ReadmeText;
import dev.nibble.runtime.image.Pictures;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The Java in the README is the Java that compiles and runs here.
class ReadmeExampleTest {
  @TempDir Path folder;

  @Test
  void theExampleRuns() throws IOException {
    Path model = Fixtures.path("models/emoji-zimage");
    Path output = folder.resolve("apple.png");
    ReadmeExample.draw(model, model.resolve("transformer"), output);
    assertEquals(64, Pictures.read(output).width());
  }

  @Test
  void theReadmeShowsTheExample() throws IOException {
    assertTrue(
        ReadmeText.shows("runtime/src/test/java/dev/nibble/runtime/ReadmeExample.java"),
        "the README's example differs");
  }
}
