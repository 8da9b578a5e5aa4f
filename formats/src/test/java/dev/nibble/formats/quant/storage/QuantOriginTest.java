package dev.nibble.formats.quant.storage;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TestCheckpoint;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class QuantOriginTest {
  private static String origin(TestCheckpoint checkpoint) {
    return QuantStorages.quantizedBy(checkpoint, Optional.empty()).orElse("");
  }

  private static TestCheckpoint with(String... tensors) {
    TestCheckpoint checkpoint = TestCheckpoints.empty();
    for (String tensor : tensors) {
      String[] words = tensor.split(" ");
      Shape shape = TestCheckpoints.shape(words[2]);
      DType dtype = DType.valueOf(words[1]);
      checkpoint.put(
          words[0],
          dtype,
          shape,
          MemorySegment.ofArray(new byte[(int) dtype.byteSize(shape.elements())]));
    }
    return checkpoint;
  }

  @ParameterizedTest
  @CsvSource({
    "nf4, bitsandbytes (4-bit nf4)",
    "fp4:plain, bitsandbytes (4-bit fp4)",
    "int8, bitsandbytes (LLM.int8)",
    "absmax8, compressed-tensors (int8)",
    "affine8:32, compressed-tensors (int8)",
    "bnb8-dynamic, nibble",
    "int4:g32, compressed-tensors (packed)",
    "fp8:row, scaled fp8 (weight_scale)",
    "fp8, ComfyUI (quantized layers)",
    "absmax8:48, nibble"
  })
  void ourOwnStoragesAreKnown(String id, String origin) {
    assertEquals(origin, origin(TestCheckpoints.stored(id, Shape.of(8, 64))));
  }

  @ParameterizedTest
  @CsvSource({
    "scaled_fp8_marker0, ComfyUI's scaled fp8",
    "scaled_fp8_marker2_scale_input, ComfyUI's scaled fp8",
    "quantization_metadata, ComfyUI (quantized layers)",
    "comfy_quant, ComfyUI (quantized layers)",
    "unscaled, ''"
  })
  void fp8Goldens(String name, String origin) {
    TestCheckpoint checkpoint =
        TestCheckpoint.golden("goldens/fp8/fp8_mini_" + name + ".safetensors");
    assertEquals(origin, origin(checkpoint));
  }

  @Test
  void plainModelsAreNotQuantized() {
    assertEquals("", origin(TestCheckpoint.golden("goldens/fp8/fp8_mini.src.safetensors")));
    assertEquals(
        "", origin(with("a.weight BF16 4x4", "a.scale F32 1", "ids I64 4", "tokens U8 4x1")));
  }

  @Test
  void othersAreNamed() {
    assertEquals(
        "GPTQ",
        origin(
            with("a.qweight I32 4x8", "a.qzeros I32 1x1", "a.scales F16 1x8", "a.g_idx I32 32")));
    assertEquals("AWQ", origin(with("a.qweight I32 32x1", "a.qzeros I32 1x1", "a.scales F16 1x8")));
    assertEquals("SVDQuant (nunchaku)", origin(with("a.qweight I8 8x4", "a.wscales BF16 1x8")));
    assertEquals("compressed-tensors (packed)", origin(with("a.weight_packed I32 4x4")));
    assertEquals(
        "nvfp4 (two scales a weight)", origin(with("a.weight_scale_2 F32 1", "a.weight U8 16x8")));
    assertEquals(
        "block-scaled fp8", origin(with("a.weight F8_E4M3 4x4", "a.weight_scale_inv F32 1x1")));
    assertEquals("quanto", origin(with("a.weight._data I8 4x4", "a.weight._scale F32 4x1")));
    assertEquals(
        "an unknown method (I8 weights)", origin(with("b.weight BF16 4x4", "a.weight I8 4x4")));
  }

  @Test
  void metadataTells() {
    assertEquals(
        "torchao",
        origin(
            with("a._weight_qdata I32 4x4")
                .putMetadata("tensor_names", "[\"a.weight\"]")
                .putMetadata("a.weight", "{\"_type\": \"Int8Tensor\"}")));
    assertEquals(
        "ComfyUI (quantized layers)",
        origin(with("a.weight BF16 4x4").putMetadata("_quantization_metadata", "{}")));
  }

  @Test
  void configurationTells() throws JsonProcessingException {
    ObjectMapper json = new ObjectMapper();
    TestCheckpoint plain = with("a.weight BF16 4x4");
    assertEquals(
        Optional.of("sdnq (as its config.json says)"),
        QuantStorages.quantizedBy(
            plain,
            Optional.of(json.readTree("{\"quantization_config\": {\"quant_method\": \"sdnq\"}}"))));
    assertEquals(
        Optional.of("bitsandbytes (as its config.json says)"),
        QuantStorages.quantizedBy(
            plain,
            Optional.of(json.readTree("{\"quantization_config\": {\"load_in_4bit\": true}}"))));
    assertEquals(
        Optional.empty(), QuantStorages.quantizedBy(plain, Optional.of(json.readTree("{}"))));
    assertEquals(
        Optional.of("AWQ"),
        QuantStorages.quantizedBy(
            with("a.qweight I32 32x1", "a.qzeros I32 1x1"),
            Optional.of(json.readTree("{\"quantization_config\": {\"quant_method\": \"awq\"}}"))));
  }
}
