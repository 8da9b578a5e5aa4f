package dev.nibble.converter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.quant.QuantSchemes;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The main promise: `quantize` of both fixture transformers holds, byte for byte, what
/// bitsandbytes stores for every weight (`fixture_nf4.json`, made by bitsandbytes itself).
class BitsAndBytesEqualityTest {
  private static final Map<String, String> SUFFIXES =
      Map.of(
          "weight", "",
          "absmax", ".absmax",
          "quant_map", ".quant_map",
          "nested_absmax", ".nested_absmax",
          "nested_quant_map", ".nested_quant_map");

  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({
    "emoji-qwen, transformer-qwen, nf4, dq",
    "emoji-qwen, transformer-qwen, nf4:64:plain, plain",
    "emoji-zimage, transformer, nf4, dq",
    "emoji-zimage, transformer, nf4:64:plain, plain"
  })
  void everyByteIsBitsandbytes(String model, String component, String scheme, String mode)
      throws Exception {
    Path source = Fixtures.path("models/" + model + "/" + component);
    Path target = folder.resolve("out");
    Converter converter = new Converter();
    ConversionRequest request =
        ConversionRequest.builder(source).output(target).scheme(QuantSchemes.parse(scheme)).build();
    ConversionReport report =
        converter.run(converter.plan(request), ProgressListener.none(), new Cancellation());

    JsonNode golden =
        new ObjectMapper()
            .readTree(Fixtures.path("goldens/bnb/fixture_nf4.json").toFile())
            .get(model);
    int compared = 0;
    try (Checkpoint written = Checkpoints.open(target)) {
      for (ConversionReport.TensorResult result : report.tensors()) {
        if (result.plan() instanceof TensorPlan.Quantize) {
          String weight = result.plan().source().name();
          assertWeight(golden.get(weight).get(mode), weight, written);
          compared++;
        }
      }
    }
    assertTrue(compared >= 40, "compared only " + compared);
  }

  private static void assertWeight(JsonNode golden, String weight, Checkpoint written)
      throws Exception {
    for (Map.Entry<String, JsonNode> part : golden.properties()) {
      if (part.getKey().equals("quant_state")) {
        TensorInfo info = tensor(written, weight + ".quant_state.bitsandbytes__nf4");
        assertEquals(
            part.getValue().textValue(),
            new String(bytes(written, info), StandardCharsets.UTF_8),
            weight);
      } else {
        TensorInfo info = tensor(written, weight + SUFFIXES.get(part.getKey()));
        assertEquals(part.getValue().textValue(), sha256(bytes(written, info)), info.name());
      }
    }
  }

  private static TensorInfo tensor(Checkpoint written, String name) {
    return Optional.ofNullable(written.tensors().get(name)).orElseThrow();
  }

  private static byte[] bytes(Checkpoint checkpoint, TensorInfo info) {
    return checkpoint.data(info).toArray(ValueLayout.JAVA_BYTE);
  }

  private static String sha256(byte[] bytes) throws NoSuchAlgorithmException {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
  }
}
