package dev.nibble.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.fixtures.Fixtures;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// What `inspect` calls the tensors of files that `quantize` wrote.
class StoredSchemesTest {
  private static final String LAYER = "transformer_blocks.0.attn.to_q";

  @TempDir private Path folder;

  @ParameterizedTest
  @CsvSource({
    "nf4, nf4, 5",
    "fp4:128:plain, fp4, 3",
    "int8, int8, 2",
    "absmax8, absmax8, 1",
    "absmax8:48, absmax8, 1",
    "affine8, affine8, 2",
    "affine8:80, affine8, 3",
    "bnb8-dynamic, bnb8-dynamic, 3"
  })
  void labelsCodesAndStatistics(String scheme, String label, int statistics) throws Exception {
    Path output = folder.resolve("out.safetensors");
    Path model = Fixtures.path("models/emoji-qwen/transformer-qwen");
    CommandRun run = CommandRun.of("quantize", model, "--scheme", scheme, "-q", "-o", output);
    assertEquals(0, run.code(), run.err());
    JsonNode tensors =
        CommandRun.of("inspect", output, LAYER + ".*", "--json").json().get("tensors");
    int found = 0;
    for (JsonNode tensor : tensors) {
      String name = tensor.get("name").textValue();
      String expected =
          name.equals(LAYER + ".weight")
              ? label
              : name.equals(LAYER + ".bias") ? "none" : label + " statistics";
      assertEquals(expected, tensor.get("scheme").textValue(), name);
      found += expected.endsWith("statistics") ? 1 : 0;
    }
    assertEquals(statistics, found, tensors.toPrettyString());
  }
}
