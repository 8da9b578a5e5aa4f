package dev.nibble.runtime.text.qwen3;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.runtime.Goldens;
import dev.nibble.runtime.text.Tokenizer;
import java.io.IOException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class Qwen3PromptTest {
  private Tokenizer tokenizer;

  @BeforeEach
  void open() throws IOException {
    tokenizer = Tokenizer.open(Fixtures.path("models/emoji-zimage/tokenizer/tokenizer.json"));
  }

  @AfterEach
  void close() {
    tokenizer.close();
  }

  @Test
  void referencePromptsHaveTheirTokens() throws IOException {
    JsonNode reference = Goldens.json("models/emoji-zimage/reference/reference.json");
    assertEquals(6, reference.path("prompts").size());
    for (JsonNode prompt : reference.path("prompts")) {
      String text = prompt.path("prompt").textValue();
      assertEquals(prompt.path("templated").textValue(), Qwen3Prompt.template(text));
      assertArrayEquals(
          Goldens.integers(prompt.path("token_ids")), Qwen3Prompt.tokens(tokenizer, text), text);
    }
  }

  @Test
  void difficultPromptsHaveTheTokensOfThePeer() throws IOException {
    for (JsonNode golden : Goldens.json("goldens/tokens/tokens.json").path("cases")) {
      assertArrayEquals(
          Goldens.integers(golden.path("ids")),
          Qwen3Prompt.tokens(tokenizer, golden.path("prompt").textValue()),
          golden.path("name").textValue());
    }
  }
}
