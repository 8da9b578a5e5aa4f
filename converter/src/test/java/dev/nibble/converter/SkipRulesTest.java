package dev.nibble.converter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SkipRulesTest {
  private static final List<String> MODULES =
      List.of(
          "img_in",
          "txt_norm",
          "transformer_blocks.0.attn.to_q",
          "transformer_blocks.0.attn.to_out.0",
          "transformer_blocks.0.img_mod.1",
          "transformer_blocks.10.img_mod.1",
          "transformer_blocks.0.img_mlp.net.0.proj",
          "proj_out");

  @ParameterizedTest
  @CsvSource({
    "img_mod, transformer_blocks.0.img_mod.1, true",
    "img_mod, transformer_blocks.0.ximg_mod.1, false",
    "img_mod, transformer_blocks.0.img_mod2.1, false",
    "img_mod.1, transformer_blocks.0.img_mod.1, true",
    "img_mod.1.weight, transformer_blocks.0.img_mod.1, true",
    "transformer_blocks.0, transformer_blocks.0.img_mod.1, true",
    "transformer_blocks.0, single_transformer_blocks.0.attn.to_q, false",
    "transformer_blocks.1, transformer_blocks.10.img_mod.1, false",
    "t_embedder, t_embedder.mlp.0, true",
    "t_embedder, time_text_embed.text_embedder.linear_1, false",
    "attn.to_q, transformer_blocks.0.attn.to_q, true",
    "attn.to_q, transformer_blocks.0.cross_attn.to_q, false",
    "to_?, transformer_blocks.0.attn.to_q, true",
    "to_?, transformer_blocks.0.attn.to_out.0, false",
    "layers.?, layers.1.mlp, true",
    "layers.?, layers.10.mlp, false",
    "*, anything.at.all, true",
    "**, anything, true",
    "transformer_blocks.*.to_q, transformer_blocks.0.attn.to_q, true",
    "transformer_blocks.**.to_q, transformer_blocks.0.attn.to_q, true",
    "img_*, transformer_blocks.0.img_mlp.net.2, true",
    "*mod, transformer_blocks.0.img_mod.1, true",
    "mod, transformer_blocks.0.img_mod.1, false",
    "all_x_embedder.2-1, all_x_embedder.2-1, true",
    "all_x_embedder.2.1, all_x_embedder.2-1, false",
    "to.q, to_q, false",
    "Proj_Out, proj_out, false",
    "'(a+)+$', aaaa, false"
  })
  void matchesWholeComponents(String pattern, String module, boolean expected) {
    assertEquals(expected, SkipRules.matches(pattern, module));
  }

  @Test
  void offersTheNearestNames() {
    assertEquals(
        "model: --skip 'imgmod' matches no module; nearest: img_mod, img_in, img_mlp",
        refusal(List.of("imgmod"), List.of()));
    assertEquals(
        "model: --skip 'atn.to_q' matches no module; nearest: attn.to_q, to_q",
        refusal(List.of("atn.to_q"), List.of()));
    assertEquals(
        "model: --skip 'something_else_entirely' matches no module; `nibble inspect` lists the names",
        refusal(List.of("something_else_entirely"), List.of()));
    assertEquals(
        "model: --only 'IMG_MODE*' matches no linear layer; nearest: img_mod, img_mod.1, img_mlp",
        refusal(List.of(), List.of("IMG_MODE*")));
  }

  @Test
  void skippingWhatIsNeverQuantizedIsOnlyNoted() {
    SkipRules rules = new SkipRules(List.of("txt_norm", "img_mod"), List.of(), List.of());
    List<String> linears = MODULES.stream().filter(name -> !name.equals("txt_norm")).toList();
    assertEquals(1, rules.check("model", linears, MODULES).size());
    assertEquals(Map.of("--skip txt_norm", 0, "--skip img_mod", 2), rules.matches(linears));
    assertThrows(
        ConversionException.class,
        () ->
            new SkipRules(List.of(), List.of("txt_norm"), List.of())
                .check("model", linears, MODULES));
  }

  @Test
  void decidesInTheOrderSkipOnlyScheme() {
    SkipRules rules = new SkipRules(List.of("to_q", "attn"), List.of("attn"), List.of());
    assertEquals("to_q", rules.skippedBy("blocks.0.attn.to_q").orElseThrow());
    assertTrue(rules.skippedBy("blocks.0.mlp").isEmpty());
    assertTrue(rules.allows("blocks.0.attn.to_k"));
    assertFalse(rules.allows("blocks.0.mlp"));
    assertTrue(rules.schemeOf("blocks.0.mlp").isEmpty());
  }

  @Test
  void anEmptyPatternIsWrongUse() {
    assertThrows(
        IllegalArgumentException.class, () -> new SkipRules(List.of(" "), List.of(), List.of()));
  }

  private static String refusal(List<String> skip, List<String> only) {
    ConversionException refused =
        assertThrows(
            ConversionException.class,
            () -> new SkipRules(skip, only, List.of()).check("model", MODULES, MODULES));
    return String.valueOf(refused.getMessage());
  }
}
