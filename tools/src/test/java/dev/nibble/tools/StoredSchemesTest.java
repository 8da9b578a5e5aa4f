package dev.nibble.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.PartSpec;
import dev.nibble.formats.quant.QuantSchemes;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.Test;
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
    "bnb8-dynamic, bnb8-dynamic, 3",
    "int4:g100, int packed, 2",
    "fp8-e5m2:row, fp8-e5m2, 2"
  })
  void labelsCodesAndStatistics(String scheme, String label, int statistics) throws Exception {
    Path output = folder.resolve("out.safetensors");
    Path model = Fixtures.path("models/emoji-qwen/transformer-qwen");
    CommandRun run = CommandRun.of("quantize", model, "--scheme", scheme, "-q", "-o", output);
    assertEquals(0, run.code(), run.err());
    JsonNode tensors =
        CommandRun.of("inspect", output, LAYER + ".*", "--json").json().get("tensors");
    assertEquals(
        statistics, statistics(tensors, LAYER + ".weight", label), tensors.toPrettyString());
  }

  @ParameterizedTest
  @CsvSource({
    "int4:g64, gptq, qweight, int4 gptq, 3",
    "int8:g64, gptq, qweight, int8 gptq, 3",
    "int4:g64, awq, qweight, int4 awq, 2",
    "int4:g64:asym, compressed-tensors, weight_packed, int packed, 3",
    "fp8:row, compressed-tensors, weight, fp8, 1",
    "fp8, comfyui, weight, fp8, 2",
    "fp8-e5m2, scaled-fp8, weight, fp8-e5m2, 1"
  })
  void labelsFormatsOfOthers(
      String scheme, String format, String codes, String label, int statistics) throws Exception {
    Path output = folder.resolve("out.safetensors");
    Path model = Fixtures.path("models/emoji-zimage/text_encoder");
    CommandRun run =
        CommandRun.of(
            "quantize", model, "--scheme", scheme, "--format", format, "-q", "-o", output);
    assertEquals(0, run.code(), run.err());
    String layer = "model.layers.1.mlp.up_proj";
    JsonNode tensors =
        CommandRun.of("inspect", output, layer + ".*", "--json").json().get("tensors");
    assertEquals(
        statistics, statistics(tensors, layer + "." + codes, label), tensors.toPrettyString());
  }

  @ParameterizedTest
  @CsvSource({"nf4+svd8, 4-bit+svd8", "int4:g64+svd5, int packed+svd5", "fp8:row+scale, fp8+scale"})
  void labelsBranches(String scheme, String label) {
    Map<String, TensorInfo> tensors = new HashMap<>();
    Shape shape = Shape.of(64, 128);
    for (PartSpec part : QuantSchemes.parse(scheme).parts(shape)) {
      String name =
          part.part() == Part.CODES
              ? "a.weight"
              : "a.weight.nibble." + part.part().name().toLowerCase(Locale.ROOT);
      tensors.put(name, new TensorInfo(name, part.dtype(), part.shape(), 0, 0, part.byteSize()));
    }
    Map<String, String> labels = StoredSchemes.of(tensors);
    assertEquals(tensors.keySet(), labels.keySet());
    labels.forEach((name, found) ->
        assertEquals(name.equals("a.weight") ? label : label + " statistics", found, name));
  }

  @Test
  void formatsThatAreNotThereAreListed() {
    CommandRun run =
        CommandRun.of("quantize", "model", "--scheme", "int4", "--format", "exl2", "-o", "x/");
    assertEquals(2, run.code());
    assertTrue(run.err().contains("gptq_v2") && run.err().contains("exl2"), run.err());
  }

  /// Counts statistics; every tensor but the codes and a bias must be one.
  private static int statistics(JsonNode tensors, String codes, String label) {
    int found = 0;
    for (JsonNode tensor : tensors) {
      String name = tensor.get("name").textValue();
      String expected =
          name.equals(codes) ? label : name.endsWith(".bias") ? "none" : label + " statistics";
      assertEquals(expected, tensor.get("scheme").textValue(), name);
      found += expected.endsWith("statistics") ? 1 : 0;
    }
    return found;
  }
}
