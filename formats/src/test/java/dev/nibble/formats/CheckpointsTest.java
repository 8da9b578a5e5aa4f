package dev.nibble.formats;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.fixtures.Fixtures;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CheckpointsTest {
  @TempDir Path folder;

  @Test
  void opensByContent() throws IOException {
    Path renamed = folder.resolve("weights.bin");
    Files.copy(Fixtures.path("goldens/safetensors/every_dtype.safetensors"), renamed);
    try (var checkpoint = Checkpoints.open(renamed)) {
      assertEquals(26, checkpoint.tensors().size());
    }
  }

  /// A cache of downloads keeps an index under a name without ending, and links to it.
  @Test
  void opensAnIndexBehindALinkByContent() throws IOException {
    Path shards = Fixtures.path("goldens/safetensors/sharded_bare");
    for (int i = 1; i <= 3; i++) {
      String name = "model-0000%d-of-00003.safetensors".formatted(i);
      Files.createSymbolicLink(folder.resolve(name), shards.resolve(name).toAbsolutePath());
    }
    Path blob = Files.createDirectory(folder.resolve("blobs")).resolve("0a1b2c");
    Files.copy(shards.resolve("model.safetensors.index.json"), blob);
    Path link = Files.createSymbolicLink(folder.resolve("index"), blob);
    try (var checkpoint = Checkpoints.open(link)) {
      assertEquals(14, checkpoint.tensors().size());
    }
  }

  @Test
  void opensModelDirectories() throws IOException {
    try (var checkpoint = Checkpoints.open(Fixtures.path("models/emoji-zimage/transformer"))) {
      assertEquals(2, checkpoint.files().size());
    }
    try (var checkpoint = Checkpoints.open(Fixtures.path("models/emoji-zimage/vae"))) {
      assertEquals(1, checkpoint.files().size());
    }
  }

  @Test
  void namesTheComponentsOfAPipeline() {
    Path pipeline = Fixtures.path("models/emoji-zimage");
    var refusal = assertThrows(UnsupportedException.class, () -> Checkpoints.open(pipeline));
    String message = String.valueOf(refusal.getMessage());
    assertTrue(message.contains("name one of its components"), message);
  }

  @Test
  void refusesJsonThatIsNoIndex() {
    Path config = Fixtures.path("models/emoji-zimage/vae/config.json");
    var fault = assertThrows(FormatException.class, () -> Checkpoints.open(config));
    String message = String.valueOf(fault.getMessage());
    assertTrue(message.contains("expected the index of a sharded checkpoint"), message);
  }
}
