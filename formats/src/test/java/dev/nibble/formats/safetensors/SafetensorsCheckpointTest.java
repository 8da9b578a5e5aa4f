package dev.nibble.formats.safetensors;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.DType;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SafetensorsCheckpointTest {
  @TempDir Path folder;

  @Test
  void readsEveryDtype() throws IOException, NoSuchAlgorithmException {
    Path goldens = Fixtures.path("goldens/safetensors");
    JsonNode manifest =
        new ObjectMapper().readTree(goldens.resolve("safetensors_manifest.json").toFile());
    try (var checkpoint = SafetensorsCheckpoint.open(goldens.resolve("every_dtype.safetensors"))) {
      List<String> order = new ArrayList<>(List.of("__metadata__"));
      for (TensorInfo tensor : checkpoint.tensors().values()) {
        JsonNode expected = manifest.get("tensors").get(tensor.name());
        assertEquals(expected.get("dtype").asText(), tensor.dtype().name());
        List<Long> dims = new ArrayList<>();
        expected.get("shape").forEach(dim -> dims.add(dim.asLong()));
        assertEquals(new Shape(dims), tensor.shape());
        assertEquals(expected.get("bytes").asLong(), tensor.byteSize());
        byte[] data = checkpoint.data(tensor).toArray(ValueLayout.JAVA_BYTE);
        byte[] hash = MessageDigest.getInstance("SHA-256").digest(data);
        assertEquals(expected.get("sha256").asText(), HexFormat.of().formatHex(hash));
        order.add(tensor.name());
      }
      List<String> expectedOrder = new ArrayList<>();
      manifest.get("header_order").forEach(name -> expectedOrder.add(name.asText()));
      assertEquals(expectedOrder, order);
      assertEquals("héllo 世界 \"q\" \\ \n", checkpoint.metadata().get("note"));
      assertEquals(3, checkpoint.metadata().size());
    }
  }

  @ParameterizedTest
  @CsvSource({"sharded_bare, model", "sharded_transformer, diffusion_pytorch_model"})
  void readsShards(String name, String base) throws IOException {
    Path index =
        Fixtures.path("goldens/safetensors/" + name + "/" + base + ".safetensors.index.json");
    try (var checkpoint = SafetensorsCheckpoint.open(index)) {
      assertEquals(14, checkpoint.tensors().size());
      assertEquals(Map.of("format", "pt"), checkpoint.metadata());
      for (int i = 0; i < 3; i++) {
        var file = checkpoint.files().get(i);
        assertEquals(index.resolveSibling(ShardIndex.shardName(base, i + 1, 3)), file.path());
        assertEquals(Files.size(file.path()), file.size());
        assertEquals(file.size(), checkpoint.bytes(file).byteSize());
        assertEquals(file.headerSize() - 8, checkpoint.bytes(file).get(LittleEndian.LONG, 0));
      }
      int previous = 0;
      for (TensorInfo tensor : checkpoint.tensors().values()) {
        assertTrue(tensor.file() >= previous, "tensors come in file order");
        previous = tensor.file();
        try (var shard = SafetensorsCheckpoint.open(checkpoint.files().get(previous).path())) {
          TensorInfo alone = tensor(shard, tensor.name());
          assertEquals(-1, shard.data(alone).mismatch(checkpoint.data(tensor)));
        }
      }
    }
  }

  @Test
  void readsDataBeyondFourGigabytes() throws IOException {
    long big = (5L << 30) + 3;
    String header =
        "{\"big\":{\"dtype\":\"U8\",\"shape\":[%d],\"data_offsets\":[0,%d]},".formatted(big, big)
            + "\"last\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[%d,%d]}}"
                .formatted(big, big + 4);
    Path file = write("sparse.safetensors", header, new byte[0]);
    try (var sparse = new RandomAccessFile(file.toFile(), "rw")) {
      sparse.seek(8 + header.length() + big - 1);
      sparse.write(new byte[] {7, 1, 2, 3, 4});
    }
    try (var checkpoint = SafetensorsCheckpoint.open(file)) {
      MemorySegment data = checkpoint.data(tensor(checkpoint, "big"));
      assertEquals(big, data.byteSize());
      assertEquals(7, data.get(ValueLayout.JAVA_BYTE, big - 1));
      assertEquals(
          0x04030201, checkpoint.data(tensor(checkpoint, "last")).get(LittleEndian.INT, 0));
    }
  }

  @Test
  void dataIsReadOnlyAndDiesWithTheCheckpoint() throws IOException {
    var checkpoint = SafetensorsCheckpoint.open(small("a"));
    MemorySegment data = checkpoint.data(tensor(checkpoint, "a"));
    assertThrows(
        IllegalArgumentException.class, () -> data.set(ValueLayout.JAVA_BYTE, 0, (byte) 1));
    checkpoint.close();
    checkpoint.close();
    assertFalse(data.scope().isAlive());
    TensorInfo tensor = tensor(checkpoint, "a");
    assertThrows(IllegalStateException.class, () -> checkpoint.data(tensor));
    var file = checkpoint.files().getFirst();
    assertThrows(IllegalStateException.class, () -> checkpoint.bytes(file));
  }

  @Test
  void refusesTensorsOfOtherCheckpoints() throws IOException {
    try (var checkpoint = SafetensorsCheckpoint.open(small("a"))) {
      var other = new TensorInfo("a", DType.U8, Shape.of(1), 0, 0, 8);
      assertThrows(IllegalArgumentException.class, () -> checkpoint.data(other));
    }
  }

  @Test
  void severalFilesAreOneCheckpoint() throws IOException {
    List<Path> files = List.of(small("b"), small("a"));
    try (var checkpoint = SafetensorsCheckpoint.open(files)) {
      assertEquals(List.of("b", "a"), List.copyOf(checkpoint.tensors().keySet()));
      assertEquals(1, tensor(checkpoint, "a").file());
    }
    Path copy = folder.resolve("copy.safetensors");
    Files.copy(files.getFirst(), copy);
    var fault =
        assertThrows(
            FormatException.class,
            () -> SafetensorsCheckpoint.open(List.of(files.getFirst(), copy)));
    String message = String.valueOf(fault.getMessage());
    assertTrue(message.contains("copy.safetensors: tensor 'b'"), message);
    assertTrue(message.endsWith("found it also in " + files.getFirst()), message);
  }

  @Test
  void missingAndUnreadableFilesAreNamed() {
    Path missing = folder.resolve("missing.safetensors");
    var failure = assertThrows(IOException.class, () -> SafetensorsCheckpoint.open(missing));
    assertEquals(missing + ": no such file or directory", failure.getMessage());
    failure = assertThrows(IOException.class, () -> SafetensorsCheckpoint.open(folder));
    assertEquals(folder + ": is a directory, not a file", failure.getMessage());
  }

  private static TensorInfo tensor(SafetensorsCheckpoint checkpoint, String name) {
    TensorInfo tensor = checkpoint.tensors().get(name);
    if (tensor == null) {
      throw new AssertionError("no tensor " + name);
    }
    return tensor;
  }

  private Path small(String tensor) throws IOException {
    String header = "{\"" + tensor + "\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}";
    return write(tensor + ".safetensors", header, new byte[] {1, 2, 3, 4});
  }

  private Path write(String name, String header, byte[] data) throws IOException {
    byte[] json = header.getBytes(StandardCharsets.UTF_8);
    byte[] bytes = new byte[8 + json.length + data.length];
    MemorySegment.ofArray(bytes).set(LittleEndian.LONG, 0, json.length);
    System.arraycopy(json, 0, bytes, 8, json.length);
    System.arraycopy(data, 0, bytes, 8 + json.length, data.length);
    return Files.write(folder.resolve(name), bytes);
  }
}
