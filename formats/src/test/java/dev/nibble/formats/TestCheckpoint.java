package dev.nibble.formats;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// A checkpoint in memory: tensors put in by hand, or all of a small safetensors file that is known
/// to be good. Not a test of any reader.
public final class TestCheckpoint implements Checkpoint {
  private final Path path;
  private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();
  private final Map<String, MemorySegment> bytes = new LinkedHashMap<>();
  private final Map<String, String> metadata = new LinkedHashMap<>();

  public TestCheckpoint(Path path) {
    this.path = path;
  }

  /// Reads `fixtures/<relative>`.
  public static TestCheckpoint golden(String relative) {
    Path path = Fixtures.path(relative);
    try {
      return read(path, MemorySegment.ofArray(Files.readAllBytes(path)));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static TestCheckpoint read(Path path, MemorySegment file) throws IOException {
    TestCheckpoint checkpoint = new TestCheckpoint(path);
    long headerLength = file.get(LittleEndian.LONG, 0);
    byte[] header = file.asSlice(8, headerLength).toArray(ValueLayout.JAVA_BYTE);
    JsonNode root = new ObjectMapper().readTree(new String(header, StandardCharsets.UTF_8));
    for (Map.Entry<String, JsonNode> entry : root.properties()) {
      JsonNode value = entry.getValue();
      if (entry.getKey().equals("__metadata__")) {
        value
            .properties()
            .forEach(pair -> checkpoint.metadata.put(pair.getKey(), pair.getValue().asText()));
        continue;
      }
      List<Long> dims = new ArrayList<>();
      value.get("shape").forEach(dim -> dims.add(dim.asLong()));
      long begin = value.get("data_offsets").get(0).asLong();
      long end = value.get("data_offsets").get(1).asLong();
      checkpoint.put(
          entry.getKey(),
          DType.valueOf(value.get("dtype").asText()),
          new Shape(dims),
          file.asSlice(8 + headerLength + begin, end - begin));
    }
    return checkpoint;
  }

  public TestCheckpoint put(String name, DType dtype, Shape shape, MemorySegment data) {
    tensors.put(name, new TensorInfo(name, dtype, shape, 0, 0, data.byteSize()));
    bytes.put(name, data.asReadOnly());
    return this;
  }

  public TestCheckpoint putMetadata(String key, String value) {
    metadata.put(key, value);
    return this;
  }

  public TestCheckpoint remove(String name) {
    tensors.remove(name);
    bytes.remove(name);
    return this;
  }

  public TensorInfo info(String name) {
    TensorInfo info = tensors.get(name);
    if (info == null) {
      throw new IllegalArgumentException("no tensor " + name + " in " + path);
    }
    return info;
  }

  public MemorySegment data(String name) {
    return data(info(name));
  }

  public byte[] array(String name) {
    return data(name).toArray(ValueLayout.JAVA_BYTE);
  }

  public float[] floats(String name) {
    return data(name).toArray(LittleEndian.FLOAT);
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return tensors;
  }

  @Override
  public MemorySegment data(TensorInfo tensor) {
    MemorySegment data = bytes.get(tensor.name());
    if (data == null) {
      throw new IllegalArgumentException("no tensor " + tensor.name());
    }
    return data;
  }

  @Override
  public MemorySegment bytes(CheckpointFile file) {
    throw new UnsupportedOperationException();
  }

  @Override
  public Map<String, String> metadata() {
    return metadata;
  }

  @Override
  public List<CheckpointFile> files() {
    return List.of(new CheckpointFile(path, 0, 0));
  }

  @Override
  public void close() {}
}
