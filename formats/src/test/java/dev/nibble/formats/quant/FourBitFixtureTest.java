package dev.nibble.formats.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.TestCheckpoint;
import dev.nibble.formats.internal.simd.FourBitKernel;
import java.io.IOException;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Real trained weights: the bytes of every matrix of the fixture transformers are those that
/// bitsandbytes stores, double quantization with our own offset included.
final class FourBitFixtureTest {
  @ParameterizedTest
  @CsvSource({"emoji-qwen, transformer-qwen", "emoji-zimage, transformer"})
  void weightsOfTheFixtureModels(String model, String folder) throws IOException {
    JsonNode golden =
        new ObjectMapper()
            .readTree(Fixtures.path("goldens/bnb/fixture_nf4.json").toFile())
            .get(model);
    int checked = 0;
    for (int shard = 1; shard <= 2; shard++) {
      TestCheckpoint checkpoint =
          TestCheckpoint.golden(
              "models/%s/%s/diffusion_pytorch_model-0000%d-of-00002.safetensors"
                  .formatted(model, folder, shard));
      for (TensorInfo tensor : checkpoint.tensors().values()) {
        JsonNode expected = golden.get(tensor.name());
        if (expected != null) {
          check(checkpoint, tensor, false, expected.get("plain"));
          check(checkpoint, tensor, true, expected.get("dq"));
          checked++;
        }
      }
    }
    assertEquals(golden.size(), checked);
    assertTrue(checked > 40, "only " + checked + " weights");
  }

  private static void check(
      TestCheckpoint checkpoint, TensorInfo tensor, boolean doubleQuant, JsonNode expected)
      throws IOException {
    FourBitRun run =
        FourBitRun.encode(
            new FourBit(FourBitType.NF4, 64, doubleQuant),
            tensor.shape(),
            tensor.dtype(),
            checkpoint.data(tensor),
            100,
            Float.NaN,
            FourBitKernel.best());
    Map<Part, String> fields =
        Map.of(
            Part.CODES, "weight",
            Part.ABSMAX, "absmax",
            Part.CODEBOOK, "quant_map",
            Part.NESTED_ABSMAX, "nested_absmax",
            Part.NESTED_CODEBOOK, "nested_quant_map");
    for (PartSpec spec : run.tensor().scheme().parts(tensor.shape())) {
      if (spec.part() != Part.NESTED_OFFSET) {
        assertEquals(
            expected.get(fields.get(spec.part())).asText(),
            run.sha256(spec.part()),
            tensor.name() + " " + spec.part());
      }
    }
    if (doubleQuant) {
      JsonNode state = new ObjectMapper().readTree(expected.get("quant_state").asText());
      assertEquals(state.get("nested_offset").asDouble(), run.offset(), tensor.name());
    }
  }
}
