package dev.nibble.runtime.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.FormatException;
import dev.nibble.runtime.Goldens;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenizerTest {
  private static final int GOLDEN_IDS = 600;

  @TempDir private Path folder;

  private static Tokenizer fixture() throws IOException {
    return Tokenizer.open(Fixtures.path("models/emoji-zimage/tokenizer/tokenizer.json"));
  }

  private static JsonNode cases() throws IOException {
    return Goldens.json("goldens/tokens/tokens.json").path("cases");
  }

  @Test
  void difficultTextsHaveTheIdsOfTransformers() throws IOException {
    try (Tokenizer tokenizer = fixture()) {
      for (JsonNode golden : cases()) {
        int[] ids = tokenizer.encode(golden.path("prompt").textValue());
        assertArrayEquals(
            Goldens.integers(golden.path("raw_ids")),
            Arrays.copyOf(ids, Math.min(ids.length, GOLDEN_IDS)),
            golden.path("name").textValue());
      }
    }
  }

  @Test
  void manyThreadsMayEncode() throws IOException, InterruptedException, ExecutionException {
    JsonNode cases = cases();
    try (Tokenizer tokenizer = fixture();
        var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<int[]>> results = new ArrayList<>();
      for (JsonNode golden : cases) {
        results.add(threads.submit(() -> tokenizer.encode(golden.path("prompt").textValue())));
      }
      for (int i = 0; i < results.size(); i++) {
        int[] ids = results.get(i).get();
        assertArrayEquals(
            Goldens.integers(cases.path(i).path("raw_ids")),
            Arrays.copyOf(ids, Math.min(ids.length, GOLDEN_IDS)));
      }
    }
  }

  @Test
  void cuttingAndPaddingOfTheFileAreIgnored() throws IOException {
    Path file = folder.resolve("tokenizer.json");
    String json = Files.readString(Fixtures.path("models/emoji-zimage/tokenizer/tokenizer.json"));
    Files.writeString(
        file,
        json.replaceFirst(
                "\"truncation\": ?null",
                "\"truncation\": {\"direction\": \"Right\", \"max_length\": 2,"
                    + " \"strategy\": \"LongestFirst\", \"stride\": 0}")
            .replaceFirst(
                "\"padding\": ?null",
                "\"padding\": {\"strategy\": {\"Fixed\": 64}, \"direction\": \"Right\","
                    + " \"pad_to_multiple_of\": null, \"pad_id\": 1500, \"pad_type_id\": 0,"
                    + " \"pad_token\": \"<|endoftext|>\"}"));
    try (Tokenizer changed = Tokenizer.open(file);
        Tokenizer tokenizer = fixture()) {
      String text = "a red apple and a rocket";
      assertArrayEquals(tokenizer.encode(text), changed.encode(text));
    }
  }

  @Test
  void halfOfASurrogatePairIsAQuestionMark() throws IOException {
    try (Tokenizer tokenizer = fixture()) {
      assertArrayEquals(tokenizer.encode("a?b"), tokenizer.encode("a\ud83db"));
    }
  }

  @Test
  void closedTokenizersRefuse() throws IOException {
    Tokenizer tokenizer = fixture();
    tokenizer.close();
    tokenizer.close();
    assertThrows(IllegalStateException.class, () -> tokenizer.encode("a"));
  }

  @Test
  void missingAndBrokenFilesAreNamed() throws IOException {
    Path file = folder.resolve("tokenizer.json");
    var missing = assertThrows(IOException.class, () -> Tokenizer.open(file));
    Goldens.assertSays(missing, "tokenizer.json");
    for (String text : List.of("", "{}", "[1]", "{\"version\": \"1.0\", \"model\":")) {
      Files.writeString(file, text);
      var broken = assertThrows(FormatException.class, () -> Tokenizer.open(file));
      Goldens.assertSays(broken, "tokenizer.json", "fetch this file again");
    }
  }
}
