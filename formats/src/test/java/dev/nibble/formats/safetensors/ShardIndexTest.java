package dev.nibble.formats.safetensors;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.FormatException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ShardIndexTest {
  private static final String NAME = "model.safetensors.index.json";

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "goldens/safetensors/sharded_bare/model.safetensors.index.json",
        "goldens/safetensors/sharded_transformer/diffusion_pytorch_model.safetensors.index.json",
        "models/emoji-qwen/transformer-qwen/diffusion_pytorch_model.safetensors.index.json"
      })
  void writesPythonsText(String fixture) throws IOException {
    Path path = Fixtures.path(fixture);
    Path copy = folder.resolve(NAME);
    ShardIndex.read(path).write(copy);
    assertEquals(Files.readString(path).strip() + "\n", Files.readString(copy));
  }

  @Test
  void escapesAndSortsLikePython() {
    var index =
        new ShardIndex(
            Map.of("\uD83D\uDE00", "s", "\uE000", "s", "a\"\u007f\n", "s"), OptionalLong.empty());
    assertEquals(
        """
        {
          "weight_map": {
            "a\\"\\u007f\\n": "s",
            "\\ue000": "s",
            "\\ud83d\\ude00": "s"
          }
        }
        """,
        index.toJson());
  }

  @Test
  void namesShards() {
    assertEquals("model-00002-of-00012.safetensors", ShardIndex.shardName("model", 2, 12));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        ".",
        "..",
        "../x.safetensors",
        "/etc/passwd",
        "a/b",
        "a\\\\b",
        "C:x",
        "x\\u0000",
        "\\n"
      })
  void refusesNamesThatLeaveTheFolder(String name) throws IOException {
    Path path = write("{\"weight_map\":{\"a\":\"%s\"}}".formatted(name));
    var fault = assertThrows(FormatException.class, () -> ShardIndex.read(path));
    String message = String.valueOf(fault.getMessage());
    assertTrue(message.contains("tensor 'a'"), message);
    assertTrue(message.contains("expected the plain name of a file beside the index"), message);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "[]",
        "{}",
        "{\"weight_map\":[]}",
        "{\"weight_map\":{}}",
        "{\"weight_map\":{\"a\":1}}",
        "{\"weight_map\":{\"a\":\"x\",\"a\":\"y\"}}",
        "{\"weight_map\":{\"a\":\"x\"},\"weight_map\":{\"a\":\"x\"}}",
        "{\"weight_map\":{\"a\":\"x\"}}{}",
        "{\"weight_map\":{\"a\":\"x\"}",
        "{\"metadata\":1,\"weight_map\":{\"a\":\"x\"}}"
      })
  void refusesWhatIsNoIndex(String json) throws IOException {
    Path path = write(json);
    assertThrows(FormatException.class, () -> ShardIndex.read(path));
  }

  @ParameterizedTest
  @ValueSource(strings = {"\"many\"", "-1", "1.5", "99999999999999999999", "{\"a\":[]}", "null"})
  void totalSizeIsOnlyAHint(String size) throws IOException {
    Path path =
        write("{\"metadata\":{\"total_size\":%s},\"weight_map\":{\"a\":\"x\"}}".formatted(size));
    assertEquals(OptionalLong.empty(), ShardIndex.read(path).totalSize());
  }

  @Test
  void missingShardIsNamed() throws IOException {
    copyGolden();
    Path shard = folder.resolve("model-00002-of-00003.safetensors");
    Files.delete(shard);
    var failure = assertThrows(IOException.class, this::open);
    assertEquals(
        shard + ": no such file, but " + NAME + " needs it: fetch this shard",
        failure.getMessage());
  }

  @Test
  void shardWithoutATensorOfTheIndexIsRefused() throws IOException {
    copyGolden();
    Files.writeString(
        folder.resolve(NAME),
        Files.readString(folder.resolve(NAME)).replace("blocks.3.norm", "blocks.9.norm"));
    var fault = assertThrows(FormatException.class, this::open);
    String message = String.valueOf(fault.getMessage());
    assertTrue(message.contains("tensor 'blocks.9.norm.weight': expected the tensor"), message);
    assertTrue(message.endsWith("fetch them again"), message);
  }

  @Test
  void tensorThatTheIndexPlacesElsewhereIsRefused() throws IOException {
    copyGolden();
    String index = Files.readString(folder.resolve(NAME));
    String entry = "\"blocks.6.norm.weight\": \"model-0000%d-of-00003.safetensors\"";
    Files.writeString(folder.resolve(NAME), index.replace(entry.formatted(1), entry.formatted(3)));
    var fault = assertThrows(FormatException.class, this::open);
    String message = String.valueOf(fault.getMessage());
    assertTrue(message.contains("places in model-00003-of-00003.safetensors"), message);
  }

  @Test
  void tensorThatTheIndexLacksIsRefused() throws IOException {
    copyGolden();
    var index = ShardIndex.read(folder.resolve(NAME));
    var fewer = new TreeMap<>(index.weightMap());
    fewer.remove("blocks.6.norm.weight");
    new ShardIndex(fewer, index.totalSize()).write(folder.resolve(NAME));
    var fault = assertThrows(FormatException.class, this::open);
    assertTrue(String.valueOf(fault.getMessage()).contains("that the index does not have"));
  }

  private void open() throws IOException {
    SafetensorsCheckpoint.open(folder.resolve(NAME)).close();
  }

  private Path write(String json) throws IOException {
    return Files.writeString(folder.resolve(NAME), json);
  }

  private void copyGolden() throws IOException {
    try (Stream<Path> files = Files.list(Fixtures.path("goldens/safetensors/sharded_bare"))) {
      for (Path file : files.toList()) {
        Files.copy(file, folder.resolve(file.getFileName().toString()));
      }
    }
  }
}
