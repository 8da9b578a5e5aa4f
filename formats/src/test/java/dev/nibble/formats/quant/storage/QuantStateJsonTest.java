package dev.nibble.formats.quant.storage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.internal.StrictJson;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class QuantStateJsonTest {
  private static final String NESTED =
      "{\"quant_type\": \"nf4\", \"blocksize\": 64, \"dtype\": \"bfloat16\", \"shape\": [192, 64],"
          + " \"nested_blocksize\": 256, \"nested_dtype\": \"float32\", \"nested_offset\":"
          + " 0.26990190148353577}";

  private static QuantStateJson.Parsed parse(String text, String type) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    try (StrictJson json = new StrictJson(Path.of("test"), MemorySegment.ofArray(bytes), 0)) {
      return QuantStateJson.parse(json, type);
    }
  }

  private static void collect(JsonNode node, List<String> texts) {
    if (node.isTextual() && node.textValue().startsWith("{\"quant_type\"")) {
      texts.add(node.textValue());
    }
    node.forEach(child -> collect(child, texts));
  }

  /// Every text that bitsandbytes wrote for the fixtures and goldens is read, and written again
  /// byte for byte.
  @Test
  void textsOfBitsandbytesRoundTrip() throws IOException {
    List<String> texts = new ArrayList<>();
    ObjectMapper mapper =
        JsonMapper.builder().enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS).build();
    for (String file : List.of("fixture_nf4.json", "bnb4_manifest.json")) {
      Path path = Fixtures.path("goldens/bnb/" + file);
      collect(mapper.readTree(Files.readString(path)), texts);
    }
    int nested = 0;
    for (String text : texts) {
      String type = text.contains("\"nf4\"") ? "nf4" : "fp4";
      if (text.contains("NaN") || text.contains("Infinity")) {
        assertThrows(FormatException.class, () -> parse(text, type));
        continue;
      }
      QuantStateJson.Parsed parsed = parse(text, type);
      assertEquals(text, parsed.state().text(parsed.offset().orElse(0f)));
      assertTrue(text.length() <= parsed.state().maxLength());
      nested += parsed.offset().isPresent() ? 1 : 0;
    }
    assertTrue(texts.size() > 400 && nested > 200, texts.size() + " texts, " + nested);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"nf4\"|\"fp4\"|quant_type 'nf4'",
        "\"nf4\"|\"int8\"|quant_type 'nf4'",
        "\"nf4\"|4|'nf4' or 'fp4'",
        "64, \"d|0, \"d|a power of two",
        "64, \"d|48, \"d|a power of two",
        "64, \"d|-64, \"d|a block size",
        "64, \"d|64.0, \"d|a block size",
        "64, \"d|4294967360, \"d|a power of two",
        "bfloat16|float64|dtype bfloat16",
        "[192, 64]|[192, -64]|a dimension",
        "[192, 64]|[]|one element or more",
        "[192, 64]|[0, 64]|one element or more",
        "[192, 64]|[4294967296, 4294967296]|fewer than 2^63",
        "[192, 64]|[1, 1, 1, 1, 1, 1, 1, 1, 1]|at most 8",
        "[192, 64]|\"192\"|a list",
        "[192, 64]|[[192]]|a dimension",
        "256|512|nested_blocksize 256",
        "\"float32\"|\"float16\"|nested_dtype float32",
        "0.26990190148353577|NaN|JSON",
        "0.26990190148353577|1e39|in float32",
        "0.26990190148353577|\"0\"|a number",
        "\"shape\"|\"blocksize\"|each field once",
        "\"shape\"|\"form\"|the fields of a quant_state",
        "\"nested_dtype\": \"float32\", |``|the field 'nested_dtype'",
        ", \"nested_offset\": 0.26990190148353577|``|the field 'nested_offset'",
        "\"blocksize\": 64, |``|the field 'blocksize'",
        "577}|577} {}|the end of the JSON",
        "577}|577|a fault"
      })
  void whatContradictsIsRefused(String good, String bad, String message) {
    assertTrue(NESTED.contains(good), good);
    FormatException refused =
        assertThrows(FormatException.class, () -> parse(NESTED.replace(good, bad), "nf4"));
    String text = String.valueOf(refused.getMessage());
    assertTrue(text.contains(message), text);
  }
}
