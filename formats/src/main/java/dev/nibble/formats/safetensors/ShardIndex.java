package dev.nibble.formats.safetensors;

import com.fasterxml.jackson.core.JsonToken;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.Text;
import dev.nibble.formats.internal.MappedFile;
import dev.nibble.formats.internal.StrictJson;
import dev.nibble.formats.io.IoErrors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;

/// The index of a sharded checkpoint, `<base>.safetensors.index.json`: which file holds which
/// tensor.
///
/// @param weightMap tensor to plain file name in the folder of the index
/// @param totalSize bytes of all tensors, if the index says; not to be relied on
public record ShardIndex(Map<String, String> weightMap, OptionalLong totalSize) {
  private static final long MAX_SIZE = SafetensorsHeader.MAX_LENGTH;

  public ShardIndex {
    weightMap = Collections.unmodifiableMap(new LinkedHashMap<>(weightMap));
  }

  /// The shards, by name: `-00001-of-0000N` makes that their order.
  public List<String> files() {
    return weightMap.values().stream().distinct().sorted().toList();
  }

  /// The name of a shard as Hugging Face libraries write it.
  ///
  /// @param base `diffusion_pytorch_model` or `model`
  /// @param number from 1
  public static String shardName(String base, int number, int count) {
    return "%s-%05d-of-%05d.safetensors".formatted(base, number, count);
  }

  /// Reads an index.
  ///
  /// @throws FormatException if it is none, or names files outside its folder
  /// @throws IOException if it can't be read; the message names the file
  public static ShardIndex read(Path path) throws IOException {
    try (MappedFile file = MappedFile.open(path)) {
      if (file.bytes().byteSize() > MAX_SIZE) {
        throw new FormatException(
            FormatException.Where.in(path),
            "an index of at most %,d bytes".formatted(MAX_SIZE),
            "%,d".formatted(file.bytes().byteSize()));
      }
      try (var json = new StrictJson(path, file.bytes(), 0)) {
        return new Reader(json).index();
      }
    }
  }

  /// Writes the index as Hugging Face libraries do: keys sorted, indented by 2.
  ///
  /// @throws IOException if it can't be written; the message names the file
  public void write(Path path) throws IOException {
    try {
      Files.writeString(path, toJson());
    } catch (IOException e) {
      throw IoErrors.at(path, e);
    }
  }

  /// The text of the index, byte for byte what Python's `json.dumps(.., indent=2, sort_keys=True)`
  /// and a newline give.
  public String toJson() {
    var json = new StringBuilder("{\n");
    totalSize.ifPresent(size ->
        json.append("  \"metadata\": {\n    \"total_size\": ").append(size).append("\n  },\n"));
    json.append("  \"weight_map\": {");
    String separator = "\n    ";
    var sorted = new TreeMap<String, String>(CodePointOrder.INSTANCE);
    sorted.putAll(weightMap);
    for (Map.Entry<String, String> entry : sorted.entrySet()) {
      json.append(separator);
      JsonText.appendAsciiString(json, entry.getKey());
      json.append(": ");
      JsonText.appendAsciiString(json, entry.getValue());
      separator = ",\n    ";
    }
    return json.append(weightMap.isEmpty() ? "}\n}\n" : "\n  }\n}\n").toString();
  }

  private static final class Reader {
    private final StrictJson json;
    private Optional<Map<String, String>> weightMap = Optional.empty();
    private OptionalLong totalSize = OptionalLong.empty();

    Reader(StrictJson json) {
      this.json = json;
    }

    ShardIndex index() {
      json.expect(JsonToken.START_OBJECT, "a JSON object");
      while (json.next() == JsonToken.FIELD_NAME) {
        switch (json.string()) {
          case "weight_map" -> weightMap();
          case "metadata" -> metadata();
          default -> json.skipValue();
        }
      }
      json.end();
      return new ShardIndex(
          weightMap.orElseThrow(
              () -> json.fault("the index of a sharded checkpoint", "JSON without a weight_map")),
          totalSize);
    }

    private void weightMap() {
      if (weightMap.isPresent()) {
        throw json.fault("one weight_map", "a second one");
      }
      json.expect(JsonToken.START_OBJECT, "an object as weight_map");
      Map<String, String> map = new LinkedHashMap<>();
      while (json.next() == JsonToken.FIELD_NAME) {
        String tensor = json.string();
        json.about(Optional.of(tensor));
        if (map.containsKey(tensor)) {
          throw json.fault("one shard for a tensor", "a second entry");
        }
        map.put(tensor, plainName(json.nextString("the name of a shard")));
        json.about(Optional.empty());
      }
      if (map.isEmpty()) {
        throw json.fault("a weight_map with tensors", "an empty one");
      }
      weightMap = Optional.of(map);
    }

    /// Only files beside the index: an index from elsewhere must not reach into other folders.
    private String plainName(String name) {
      boolean plain =
          !name.isEmpty()
              && !name.equals(".")
              && !name.equals("..")
              && name.chars().noneMatch(c -> c == '/' || c == '\\' || c == ':' || c < ' ');
      if (!plain) {
        throw json.fault(
            "the plain name of a file beside the index", "'" + Text.printable(name) + "'");
      }
      return name;
    }

    /// Only a hint: anything but a count is passed over.
    private void metadata() {
      JsonToken token = json.next();
      if (token != JsonToken.START_OBJECT) {
        throw json.fault("an object as metadata", json.describe(token));
      }
      while (json.next() == JsonToken.FIELD_NAME) {
        if (json.string().equals("total_size")) {
          totalSize = json.tryCount();
        } else {
          json.skipValue();
        }
      }
    }
  }
}
