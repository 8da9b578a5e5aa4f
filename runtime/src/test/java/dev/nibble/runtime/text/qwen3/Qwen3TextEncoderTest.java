package dev.nibble.runtime.text.qwen3;

import static dev.nibble.runtime.Goldens.assertClose;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.io.JsonFile;
import dev.nibble.runtime.Goldens;
import dev.nibble.runtime.cpu.CpuBackend;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.text.Tokenizer;
import dev.nibble.runtime.weights.ComponentWeights;
import dev.nibble.runtime.weights.ModelConfig;
import java.io.IOException;
import java.nio.file.Path;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class Qwen3TextEncoderTest {
  private static final String FIXTURE = "models/emoji-zimage/text_encoder";

  private CpuBackend backend;
  private Ops ops;
  private ComponentWeights weights;
  private Qwen3TextEncoder encoder;

  @BeforeEach
  void open() throws IOException {
    backend = new CpuBackend();
    ops = backend.newOps("test");
    weights = ComponentWeights.open(Fixtures.path(FIXTURE), backend.newWeights("text encoder"));
    encoder =
        Qwen3TextEncoder.load(
            weights, new ModelConfig(weights.path(), weights.config().orElseThrow()));
  }

  @AfterEach
  void close() {
    weights.close();
    ops.close();
    backend.close();
  }

  @ParameterizedTest
  @ValueSource(strings = {"0", "1", "2", "3", "4", "5", "negative"})
  void featuresAreThoseOfTransformers(String prompt) throws IOException {
    var inputs = Goldens.tensors("models/emoji-zimage/reference/inputs.safetensors");
    float[] expected = inputs.values(prompt + ".text_embeds");
    try (Tokenizer tokenizer =
        Tokenizer.open(Fixtures.path("models/emoji-zimage/tokenizer/tokenizer.json"))) {
      JsonNode reference = Goldens.json("models/emoji-zimage/reference/reference.json");
      String text =
          prompt.equals("negative")
              ? ""
              : reference.path("prompts").path(Integer.parseInt(prompt)).path("prompt").asText();
      Tensor features = encoder.encode(Qwen3Prompt.tokens(tokenizer, text), ops);
      assertEquals(encoder.features(), features.dim(1));
      assertClose(expected, ops.toHost(features), 2e-4, 2e-4, prompt);
    }
  }

  @Test
  void laterTokensDoNotChangeEarlierFeatures() {
    int[] tokens = {1501, 411, 198, 680, 292, 1502};
    Tensor all = encoder.encode(tokens, ops);
    Tensor some = encoder.encode(new int[] {1501, 411, 198}, ops);
    assertArrayEquals(ops.toHost(all.rows(0, 3)), ops.toHost(some), 1e-3f);
  }

  @Test
  void keepsNothingButItsResult() {
    try (Region region = ops.region()) {
      long before = backend.openBytes();
      Tensor features = region.keep(encoder.encode(new int[] {1, 2, 3}, ops));
      long kept = backend.openBytes() - before;
      Tensor copy = ops.fromHost(ops.toHost(features), 3, encoder.features());
      assertEquals(features.shape(), copy.shape());
      assertEquals(2 * kept, backend.openBytes() - before);
    }
  }

  @Test
  void tokensOfAnotherTokenizerAreRefused() {
    var e =
        assertThrows(
            IllegalArgumentException.class, () -> encoder.encode(new int[] {0, 1536}, ops));
    Goldens.assertSays(e, "1536", "tokenizer");
  }

  private static Qwen3Config configured(Consumer<ObjectNode> change) throws IOException {
    Path file = Fixtures.path(FIXTURE).resolve("config.json");
    ObjectNode json = JsonFile.object(file);
    change.accept(json);
    return Qwen3Config.of(new ModelConfig(file, json));
  }

  @Test
  void thetaIsReadFromEitherPlace() throws IOException {
    Qwen3Config config =
        configured(json -> {
          json.remove("rope_theta");
          json.remove("rope_scaling");
          json.putObject("rope_parameters").put("rope_theta", 5e5).put("rope_type", "default");
        });
    assertEquals(5e5, config.rope().theta());
    assertEquals(1e6, configured(_ -> {}).rope().theta());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "intermediate_size",
        "head_dim",
        "rms_norm_eps"
      })
  void missingKeysAreNamed(String key) {
    var e = assertThrows(FormatException.class, () -> configured(json -> json.remove(key)));
    Goldens.assertSays(e, "config.json", key);
  }

  @Test
  void modelsOfAnotherKindAreRefused() {
    var e =
        assertThrows(
            UnsupportedException.class, () -> configured(json -> json.put("model_type", "llama")));
    Goldens.assertSays(e, "config.json", "llama", "qwen3");
    assertThrows(
        UnsupportedException.class, () -> configured(json -> json.put("attention_bias", true)));
    assertThrows(
        UnsupportedException.class,
        () -> configured(json -> json.putObject("rope_scaling").put("type", "yarn")));
    assertThrows(
        FormatException.class, () -> configured(json -> json.put("num_key_value_heads", 3)));
  }
}
