package dev.nibble.formats.quant;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class QuantSchemesTest {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "int8",
        "absmax8",
        "absmax8:128",
        "affine8",
        "affine8:32",
        "bnb8-dynamic",
        "bnb8-dynamic:256",
        "nf4+svd32",
        "nf4:128:plain+scale",
        "int4:g64:bf16+svd16",
        "affine8+scale"
      })
  void parseIsTheInverseOfId(String id) {
    assertEquals(id, QuantSchemes.parse(id).id());
  }

  @Test
  void namesMeanWhatTheySay() {
    assertEquals(new LlmInt8(), QuantSchemes.parse("int8"));
    assertEquals(new AbsmaxInt8(0), QuantSchemes.parse("absmax8"));
    assertEquals(new AffineInt8(64), QuantSchemes.parse("affine8:64"));
    assertEquals(new DynamicInt8(4096), QuantSchemes.parse("bnb8-dynamic"));
    assertEquals("bnb8-dynamic", QuantSchemes.parse("bnb8-dynamic:4096").id());
    assertEquals(new FourBit(FourBitType.NF4, 64, true), QuantSchemes.parse("nf4"));
    assertEquals(new FourBit(FourBitType.FP4, 64, false), QuantSchemes.parse("fp4:plain"));
    assertEquals(new FourBit(FourBitType.NF4, 128, false), QuantSchemes.parse("nf4:128:plain"));
    assertEquals(new FourBit(FourBitType.NF4, 4096, true), QuantSchemes.parse("nf4:4096"));
    assertEquals(new SvdQuant(new LlmInt8(), 8), QuantSchemes.parse("int8+svd8"));
    assertEquals(new SvdQuant(new LlmInt8(), 0), QuantSchemes.parse("int8+scale"));
  }

  @Test
  void branchesDoNotNest() {
    for (String bad :
        new String[] {"nf4+scale+svd32", "gguf:q4_0+svd32", "nf4+svd1025", "+svd32", "nf5+scale"}) {
      assertThrows(IllegalArgumentException.class, () -> QuantSchemes.parse(bad), bad);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "NF4",
        "nf5",
        "nf4:",
        "nf4:x",
        "nf4:-64",
        "nf4:064",
        "nf4:64:",
        "nf4:plain:64",
        "nf4:64:plain:plain",
        "int8:64",
        "int8:plain",
        "absmax8:plain",
        "absmax8:0",
        "absmax8:64:64",
        "affine8:12345678901",
        "bnb8-dynamic:",
        " int8",
        "nf4+",
        "nf4+svd",
        "nf4+svd0",
        "nf4+svd-1",
        "nf4+scale32"
      })
  void otherTextIsRefusedWithTheList(String text) {
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> QuantSchemes.parse(text));
    String message = String.valueOf(refused.getMessage());
    assertTrue(message.contains("bnb8-dynamic[:BLOCK]"), message);
    assertTrue(message.contains("'" + text + "'"), message);
  }

  @Test
  void blockSizesAreBounded() {
    assertThrows(IllegalArgumentException.class, () -> QuantSchemes.parse("absmax8:99999999"));
    assertThrows(IllegalArgumentException.class, () -> new DynamicInt8(0));
    assertThrows(IllegalArgumentException.class, () -> new AbsmaxInt8(-1));
  }
}
