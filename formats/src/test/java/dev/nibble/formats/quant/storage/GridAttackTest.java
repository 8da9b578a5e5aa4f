package dev.nibble.formats.quant.storage;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.formats.DType;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TestCheckpoint;
import dev.nibble.formats.quant.Codecs;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.QuantSchemes;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Optional;
import java.util.SequencedMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Files of GPTQ, AWQ, compressed-tensors and ComfyUI that lack parts, lie about them, or hold what
/// nibble doesn't know: one line that names the file, and never wrong numbers.
class GridAttackTest {
  private static final Shape SHAPE = Shape.of(64, 96);

  private static TestCheckpoint stored(String storageId, String id) {
    QuantStorage storage =
        QuantStorages.all().stream()
            .filter(known -> known.id().equals(storageId))
            .findFirst()
            .orElseThrow();
    QuantScheme scheme = storage.adapt(QuantSchemes.parse(id), DType.F32);
    TestCheckpoint checkpoint = TestCheckpoints.empty();
    TestCheckpoints.store(
        checkpoint,
        storage,
        "l.weight",
        scheme,
        SHAPE,
        DType.F32,
        Codecs.encode(scheme, SHAPE, DType.F32, TestCheckpoints.gaussian(SHAPE, 1)));
    return checkpoint;
  }

  private static void refused(TestCheckpoint checkpoint, String config, String... words) {
    JsonNode json;
    try {
      json = new ObjectMapper().readTree("{\"quantization_config\": " + config + "}");
    } catch (JsonProcessingException e) {
      throw new AssertionError(e);
    }
    NibbleException refusal =
        assertThrows(
            NibbleException.class,
            () -> QuantStorages.read(checkpoint, Optional.of(json), Arena.ofAuto()));
    String message = String.valueOf(refusal.getMessage());
    assertFalse(message.contains("\n"), message);
    assertTrue(message.contains("test.safetensors"), message);
    for (String word : words) {
      assertTrue(message.contains(word), message + " lacks " + word);
    }
  }

  private static MemorySegment zeros(DType dtype, Shape shape) {
    return MemorySegment.ofArray(new byte[(int) dtype.byteSize(shape.elements())]);
  }

  @ParameterizedTest
  @CsvSource({
    "gptq, int4:g32, qzeros",
    "gptq, int4:g32, scales",
    "awq, int4:g32, qzeros",
    "awq, int4:g32, scales",
    "compressed-tensors, int4:g32:asym, weight_scale",
    "compressed-tensors, int4:g32:asym, weight_shape",
    "comfyui, fp8, weight_scale",
    "comfyui, fp8, weight",
    "scaled-fp8, fp8, weight"
  })
  void missingPartsAreNamed(String storage, String scheme, String part) {
    refused(stored(storage, scheme).remove("l." + part), "{}", "'l." + part + "'");
  }

  @ParameterizedTest
  @CsvSource({
    "gptq, int4:g32, scales, F16, 3x65",
    "gptq, int4:g32, scales, F16, 5x64",
    "gptq, int4:g32, scales, I32, 3x64",
    "gptq, int4:g32, qzeros, I32, 2x8",
    "gptq, int4:g32, qzeros, F32, 3x8",
    "gptq, int4:g32, qweight, I32, 12x63",
    "gptq, int4:g32, qweight, F32, 12x64",
    "gptq, int4:g32, g_idx, I32, 95",
    "awq, int4:g32, scales, F16, 3x72",
    "awq, int4:g32, qzeros, I32, 3x9",
    "compressed-tensors, int4:g32:asym, weight_scale, F32, 64x5",
    "compressed-tensors, int4:g32:asym, weight_scale, F32, 63x3",
    "compressed-tensors, int4:g32:asym, weight_scale, I32, 64x3",
    "compressed-tensors, int4:g32:asym, weight_zero_point, I32, 8x2",
    "compressed-tensors, int4:g32:asym, weight_zero_point, U8, 8x3",
    "compressed-tensors, int4:g32:asym, weight_packed, I32, 64x13",
    "compressed-tensors, int4:g32:asym, weight_packed, BF16, 64x12",
    "compressed-tensors, fp8:row, weight_scale, F32, 63x1",
    "compressed-tensors, fp8:row, weight_scale, I32, 64x1",
    "comfyui, fp8, weight_scale, F32, 2",
    "comfyui, fp8, weight, BF16, 64x96",
    "comfyui, fp8, weight, F8_E5M2, 64x96",
    "scaled-fp8, fp8, scale_weight, F32, 64"
  })
  void wrongShapesAndTypesAreNamed(
      String storage, String scheme, String part, DType dtype, String dims) {
    TestCheckpoint checkpoint = stored(storage, scheme);
    Shape shape = TestCheckpoints.shape(dims);
    checkpoint.put("l." + part, dtype, shape, zeros(dtype, shape));
    refused(checkpoint, "{}", "'l.");
  }

  @ParameterizedTest
  @CsvSource({"3", "-1", "2147483647", "-2147483648"})
  void groupsThatAreNotThereAreRefused(int group) {
    TestCheckpoint checkpoint = stored("gptq", "int4:g32");
    for (int i = 0; i < 4; i++) {
      TestCheckpoints.poke(checkpoint, "l.g_idx", 4 * 50 + i, group >> (8 * i));
    }
    refused(checkpoint, "{}", "g_idx", "from 0 to 2");
  }

  @ParameterizedTest
  @CsvSource({"0, 96", "64, 0", "9223372036854775807, 8", "-64, 96", "64, 95"})
  void shapesThatLieAreRefused(long out, long in) {
    TestCheckpoint checkpoint = stored("compressed-tensors", "int4:g32");
    for (int i = 0; i < 8; i++) {
      TestCheckpoints.poke(checkpoint, "l.weight_shape", i, (int) (out >> (8 * i)));
      TestCheckpoints.poke(checkpoint, "l.weight_shape", 8 + i, (int) (in >> (8 * i)));
    }
    refused(checkpoint, "{}", "'l.weight_");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"quant_method\": \"gptq\", \"checkpoint_format\": \"marlin\"}|marlin",
        "{\"quant_method\": \"gptq\", \"format\": \"bitblas\"}|bitblas",
        "{\"quant_method\": \"quark\"}|quark",
        "{\"quant_method\": \"auto-round\"}|auto-round"
      })
  void methodsThatNobodyKnowsAreRefused(String config, String word) {
    refused(stored("gptq", "int4:g32"), config, word, "nibble");
  }

  @Test
  void groupsThatDoNotDivideAreRefused() {
    TestCheckpoint checkpoint = stored("gptq", "int4:g48");
    refused(checkpoint, "{\"quant_method\": \"gptq\", \"group_size\": 64}", "equal groups");
  }

  @Test
  void integersInOrderOfActivationsAreRefused() {
    TestCheckpoint checkpoint = stored("compressed-tensors", "absmax8:48");
    checkpoint.put("l.weight_g_idx", DType.I32, Shape.of(96), zeros(DType.I32, Shape.of(96)));
    refused(checkpoint, "{}", "weight_g_idx", "order of activations");
  }

  @Test
  void aMarkerIsOfOneType() {
    SequencedMap<String, QuantScheme> mixed = new LinkedHashMap<>();
    mixed.put("a.weight", QuantSchemes.parse("fp8"));
    mixed.put("b.weight", QuantSchemes.parse("fp8-e5m2"));
    ComfyStorage storage = new ComfyStorage(ComfyStorage.Transport.MARKER);
    assertThrows(NibbleException.class, () -> storage.fileMarker(mixed));
  }

  @Test
  void otherVersionsOfAwqAreRefused() {
    refused(
        stored("awq", "int4:g32"),
        "{\"quant_method\": \"awq\", \"version\": \"gemv\"}",
        "gemv",
        "gemm");
  }

  @Test
  void gptqOfOtherBitsIsRefused() {
    TestCheckpoint checkpoint = TestCheckpoints.empty();
    checkpoint.put("l.qweight", DType.I32, Shape.of(9, 64), zeros(DType.I32, Shape.of(9, 64)));
    checkpoint.put("l.qzeros", DType.I32, Shape.of(1, 6), zeros(DType.I32, Shape.of(1, 6)));
    checkpoint.put("l.scales", DType.F16, Shape.of(1, 64), zeros(DType.F16, Shape.of(1, 64)));
    refused(checkpoint, "{}", "3 bits", "4 and 8");
  }

  @ParameterizedTest
  @CsvSource({"nvfp4", "mxfp8", "int8_tensorwise", "''"})
  void otherFormatsOfComfyUiAreRefusedByName(String format) {
    TestCheckpoint checkpoint = stored("comfyui", "fp8");
    byte[] text = ("{\"format\": \"" + format + "\"}").getBytes(StandardCharsets.UTF_8);
    checkpoint.put("l.comfy_quant", DType.U8, Shape.of(text.length), MemorySegment.ofArray(text));
    refused(checkpoint, "{}", format.isEmpty() ? "'format'" : format);
    TestCheckpoint header =
        stored("comfyui-header", "fp8")
            .putMetadata(
                "_quantization_metadata",
                "{\"layers\": {\"l\": {\"format\": \"" + format + "\"}}}");
    refused(header, "{}", format.isEmpty() ? "'format'" : format);
  }

  @Test
  void brokenDescriptionsOfComfyUiAreRefused() {
    for (String text : new String[] {"", "[]", "{", "{\"format\": 3}", "{} {}"}) {
      TestCheckpoint checkpoint = stored("comfyui", "fp8");
      byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
      checkpoint.put(
          "l.comfy_quant", DType.U8, Shape.of(bytes.length), MemorySegment.ofArray(bytes));
      refused(checkpoint, "{}", "l.comfy_quant");
      refused(
          stored("comfyui-header", "fp8")
              .putMetadata("_quantization_metadata", text.isEmpty() ? "x" : text),
          "{}");
    }
    refused(
        stored("comfyui-header", "fp8")
            .putMetadata(
                "_quantization_metadata", "{\"layers\": {\"m\": {\"format\": \"float8_e4m3fn\"}}}"),
        "{}",
        "'m.weight'");
  }

  /// What no reader takes is not passed on as if it were the model's.
  @ParameterizedTest
  @CsvSource({
    "l.weight_scale_2 F32 1, l.weight U8 16x8, nvfp4",
    "l.qweight I8 8x4, l.wscales BF16 1x8, SVDQuant",
    "l.weight._data I8 4x4, l.weight._scale F32 4x1, quanto",
    "l.weight I8 4x4, l.more F32 1, unknown method",
    "l.weight_scale F32 4x1, l.weight U8 4x4, weight_scale"
  })
  void whatIsLeftIsRefused(String first, String second, String word) {
    TestCheckpoint checkpoint = TestCheckpoints.empty();
    for (String tensor : new String[] {first, second}) {
      String[] words = tensor.split(" ");
      Shape shape = TestCheckpoints.shape(words[2]);
      DType dtype = DType.valueOf(words[1]);
      checkpoint.put(words[0], dtype, shape, zeros(dtype, shape));
    }
    refused(checkpoint, "{}", word, "it reads bitsandbytes");
  }
}
