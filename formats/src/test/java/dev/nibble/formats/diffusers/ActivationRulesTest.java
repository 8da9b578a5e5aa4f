package dev.nibble.formats.diffusers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.formats.quant.ActivationType;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ActivationRulesTest {
  private static final String INT8 =
      "{\"num_bits\": 8, \"type\": \"int\", \"symmetric\": true, \"strategy\": \"token\","
          + " \"dynamic\": true}";
  private static final String FP8 = INT8.replace("int", "float");

  private static ActivationRules rules(String groups, String ignore)
      throws JsonProcessingException {
    String json =
        "{\"quantization_config\": {\"quant_method\": \"compressed-tensors\", \"config_groups\": {"
            + groups
            + "}, \"ignore\": ["
            + ignore
            + "]}}";
    return ActivationRules.of(new ObjectMapper().readTree(json));
  }

  private static String group(String name, String targets, String activations) {
    return "\"%s\": {\"targets\": [%s], \"input_activations\": %s}"
        .formatted(name, targets, activations);
  }

  @Test
  void targetsArePathsExpressionsOrTheClass() throws JsonProcessingException {
    ActivationRules rules =
        rules(
            group("group_0", "\"a.to_q\", \"re:.*\\\\.ff\"", FP8)
                + ","
                + group("group_1", "\"Linear\"", INT8),
            "\"proj_out\", \"re:.*adaLN\"");
    assertEquals(Optional.of(ActivationType.FP8_E4M3), rules.of("a.to_q"));
    assertEquals(Optional.of(ActivationType.INT8), rules.of("a.to_q.other"));
    assertEquals(Optional.of(ActivationType.FP8_E4M3), rules.of("b.ff.net"), "as re.match");
    assertEquals(Optional.of(ActivationType.INT8), rules.of("ff"));
    assertEquals(Optional.empty(), rules.of("proj_out"));
    assertEquals(Optional.of(ActivationType.INT8), rules.of("b.proj_out"));
    assertEquals(Optional.empty(), rules.of("layers.0.adaLN_modulation.1"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "null",
        "{\"num_bits\": 4, \"type\": \"int\", \"strategy\": \"token\", \"dynamic\": true}",
        "{\"num_bits\": 8, \"type\": \"int\", \"strategy\": \"tensor\", \"dynamic\": false}",
        "{\"num_bits\": 8, \"type\": \"int\", \"strategy\": \"token\", \"dynamic\": \"local\"}",
        "{\"num_bits\": 8, \"type\": \"int\", \"strategy\": \"token\", \"dynamic\": true,"
            + " \"symmetric\": false}",
        "{\"num_bits\": 8, \"type\": \"nf\", \"strategy\": \"token\", \"dynamic\": true}"
      })
  void otherActivationsAreAsIfThereWereNone(String activations) throws JsonProcessingException {
    assertSame(ActivationRules.NONE, rules(group("group_0", "\"Linear\"", activations), ""));
  }

  @Test
  void anotherMethodHasNone() throws JsonProcessingException {
    assertSame(ActivationRules.NONE, ActivationRules.of(new ObjectMapper().readTree("{}")));
    assertSame(
        ActivationRules.NONE,
        ActivationRules.of(
            new ObjectMapper()
                .readTree("{\"quantization_config\": {\"quant_method\": \"fbgemm_fp8\"}}")));
  }
}
