package dev.nibble.formats.gguf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.params.provider.Arguments.argumentSet;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.NibbleException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/// Our verdict on every file of the malformed corpus against ggml's, which loads the data.
class GgufVerdictTest {
  /// What ggml lets through: sizes that overflow to 0, and names that are not UTF-8.
  private static final Set<String> REFUSED_HERE =
      Set.of(
          "dim_overflow.gguf",
          "dim_overflow_wrap_small.gguf",
          "key_nonutf8.gguf",
          "name_nonutf8.gguf");

  /// What ggml refuses by limits of its own, and gguf-py reads.
  private static final Set<String> READ_HERE =
      Set.of(
          "name_64.gguf",
          "name_127.gguf",
          "dims_5.gguf",
          "offset_gap.gguf",
          "array_of_arrays.gguf",
          "no_padding_at_eof.gguf");

  private static final Path CORPUS = Fixtures.path("goldens/gguf_malformed");

  static List<Arguments> cases() throws IOException {
    List<Arguments> cases = new ArrayList<>();
    for (JsonNode entry : new ObjectMapper().readTree(CORPUS.resolve("verdicts.json").toFile())) {
      String file = entry.get("file").asText();
      cases.add(argumentSet(file, file, entry.get("ggml_with_data"), entry.get("gguf_py")));
    }
    return cases;
  }

  @Test
  void corpusIsWhole() throws IOException {
    assertEquals(77, cases().size());
  }

  @ParameterizedTest
  @MethodSource("cases")
  void agreesWithGgml(String file, JsonNode ggml, JsonNode ggufPy) throws IOException {
    Path path = CORPUS.resolve(file);
    boolean accepted = ggml.get("verdict").asText().equals("accept");
    if (REFUSED_HERE.contains(file) || (!accepted && !READ_HERE.contains(file))) {
      var fault = assertThrows(NibbleException.class, () -> GgufCheckpoint.open(path));
      String message = String.valueOf(fault.getMessage());
      assertTrue(message.startsWith(path.toString()), message);
      assertEquals(1, message.lines().count(), message);
      assertTrue(message.length() < 1000, message);
      return;
    }
    try (var checkpoint = GgufCheckpoint.open(path)) {
      checkpoint.tensors().values().forEach(checkpoint::data);
      JsonNode expected = accepted ? ggml : ggufPy;
      // gguf-py counts the three fields of the file's head.
      int pairs = expected.get("n_kv").asInt() - (accepted ? 0 : 3);
      assertEquals(pairs, checkpoint.header().metadata().size());
      assertEquals(expected.get("n_tensors").asInt(), checkpoint.tensors().size());
    }
  }
}
