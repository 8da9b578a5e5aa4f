package dev.nibble.formats.safetensors;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.params.provider.Arguments.argumentSet;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.TensorInfo;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/// Our verdict on every file of the malformed corpus against the official library's.
class SafetensorsVerdictTest {
  /// What the goldens' README lets a product refuse, and we do: names that occur twice.
  private static final Set<String> REFUSED_HERE =
      Set.of("dup_tensor_name_same.safetensors", "dup_metadata_key.safetensors");

  private static final Path CORPUS = Fixtures.path("goldens/safetensors_malformed");

  static List<Arguments> cases() throws IOException {
    List<Arguments> cases = new ArrayList<>();
    for (JsonNode entry : new ObjectMapper().readTree(CORPUS.resolve("verdicts.json").toFile())) {
      String file = entry.get("file").asText();
      cases.add(argumentSet(file, file, entry.get("deserialize"), entry.get("safe_open")));
    }
    return cases;
  }

  @Test
  void corpusIsWhole() throws IOException {
    assertEquals(104, cases().size());
  }

  @ParameterizedTest
  @MethodSource("cases")
  void agreesWithOfficialLibrary(String file, JsonNode deserialize, JsonNode safeOpen)
      throws IOException {
    Path path = CORPUS.resolve(file);
    if (deserialize.get("verdict").asText().equals("reject") || REFUSED_HERE.contains(file)) {
      var fault = assertThrows(FormatException.class, () -> SafetensorsCheckpoint.open(path));
      String message = String.valueOf(fault.getMessage());
      assertTrue(message.startsWith(path.toString()), message);
      assertEquals(1, message.lines().count(), message);
      assertTrue(message.length() < 1000, message);
      assertEquals(path, fault.where().file());
      return;
    }
    try (var checkpoint = SafetensorsCheckpoint.open(path)) {
      assertEquals(tensors(deserialize), tensors(checkpoint));
      assertEquals(metadata(safeOpen), checkpoint.metadata().toString());
    }
  }

  /// The goldens list at most six tensors, by name.
  private static List<String> tensors(JsonNode verdict) {
    List<String> all = new ArrayList<>();
    for (JsonNode tensor : verdict.get("tensors")) {
      all.add(
          tensor.get(0).asText()
              + tensor.get(1).asText()
              + tensor.get(2).toString().replace(",", ", ")
              + tensor.get(3).asLong());
    }
    return all;
  }

  private static List<String> tensors(SafetensorsCheckpoint checkpoint) {
    return checkpoint.tensors().values().stream()
        .map((TensorInfo tensor) ->
            tensor.name() + tensor.dtype() + tensor.shape().dims() + tensor.byteSize())
        .sorted()
        .limit(6)
        .toList();
  }

  private static String metadata(JsonNode verdict) {
    JsonNode metadata = verdict.get("metadata");
    return metadata.isNull()
        ? "{}"
        : metadata.toString().replace("\"", "").replace(":", "=").replace(",", ", ");
  }
}
