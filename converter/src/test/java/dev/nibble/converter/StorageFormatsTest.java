package dev.nibble.converter;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.converter.ConversionRequest.OutputForm;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.DType;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.quant.QuantError;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.formats.quant.storage.LogicalTensor;
import dev.nibble.formats.quant.storage.QuantStorage;
import dev.nibble.formats.quant.storage.QuantStorages;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Every storage from end to end: written, read back, compared and decoded.
class StorageFormatsTest {
  private static final long SMALLEST_MEMORY = 1L << 21;
  private static final Path TEXT_ENCODER = Fixtures.path("models/emoji-zimage/text_encoder");

  @TempDir Path folder;

  private static QuantStorage storage(String id) {
    return QuantStorages.all().stream()
        .filter(known -> known.id().equals(id))
        .findFirst()
        .orElseThrow();
  }

  private static ConversionRequest.Builder request(String scheme, String format) {
    ConversionRequest.Builder builder =
        ConversionRequest.builder(TEXT_ENCODER).scheme(QuantSchemes.parse(scheme));
    return format.isEmpty() ? builder : builder.storage(storage(format));
  }

  private static ConversionReport run(ConversionRequest request) throws IOException {
    Converter converter = new Converter();
    return converter.run(converter.plan(request), ProgressListener.none(), new Cancellation());
  }

  @ParameterizedTest
  @CsvSource({
    "int4:g64, gptq, DIRECTORY",
    "int4:g32:asym, gptq_v2, DIRECTORY",
    "int8:g64, gptq, FILE",
    "int4:g64:asym, awq, DIRECTORY",
    "int4:row, awq, FILE",
    "int4:g64, '', DIRECTORY",
    "int8:row:asym, compressed-tensors, DIRECTORY",
    "fp8, '', DIRECTORY",
    "fp8:row, '', FILE",
    "fp8, '', FILE",
    "fp8-e5m2, comfyui-header, FILE",
    "fp8, scaled-fp8, FILE",
    "fp8:plain, '', DIRECTORY",
    "fp8-e5m2, '', DIRECTORY",
    "int4:g48, nibble, FILE"
  })
  void isWrittenReadAndDecoded(String scheme, String format, OutputForm form) throws IOException {
    String ending = form == OutputForm.FILE ? ".safetensors" : "";
    Path one = folder.resolve("one" + ending);
    Path many = folder.resolve("many" + ending);
    ConversionReport report =
        run(request(scheme, format).form(form).output(one).threads(1).build());
    run(
        request(scheme, format)
            .form(form)
            .output(many)
            .threads(5)
            .memoryBytes(SMALLEST_MEMORY)
            .build());
    assertSameFiles(one, many);

    long quantized = report.tensors().stream().filter(one2 -> one2.error().isPresent()).count();
    assertEquals(21, quantized);
    if (!scheme.endsWith("plain")) {
      try (OpenModel model = OpenModel.open(one)) {
        assertEquals(
            quantized,
            model.tensors().values().stream()
                .filter(LogicalTensor.Quantized.class::isInstance)
                .count());
      }
    }
    // Errors that the encoder counted are those that a reader finds.
    VerifyReport compared =
        new Verifier()
            .compare(
                TEXT_ENCODER,
                one,
                new MemoryBudget(SMALLEST_MEMORY, 2),
                ProgressListener.none(),
                new Cancellation());
    assertTrue(compared.sameTensors());
    double counted =
        report.tensors().stream()
            .flatMap(tensor -> tensor.error().stream())
            .mapToDouble(QuantError::sumSquaredErrors)
            .sum();
    assertEquals(counted, compared.overall().sumSquaredErrors(), 1e-3 * counted);
    decodes(one, form);
  }

  /// What `dequantize` writes is what was quantized, in plain tensors.
  private void decodes(Path quantized, OutputForm form) throws IOException {
    Path back = folder.resolve("back" + (form == OutputForm.FILE ? ".safetensors" : ""));
    new Dequantizer()
        .run(
            new DequantizeRequest(
                quantized,
                Optional.of(DType.F32),
                Optional.of(back),
                form,
                false,
                ConversionRequest.DEFAULT_SHARD_BYTES,
                3,
                SMALLEST_MEMORY),
            ProgressListener.none(),
            new Cancellation());
    VerifyReport compared =
        new Verifier()
            .compare(
                quantized,
                back,
                new MemoryBudget(SMALLEST_MEMORY, 2),
                ProgressListener.none(),
                new Cancellation());
    assertTrue(compared.sameTensors());
    assertEquals(0, compared.overall().maxError());
    try (Checkpoint checkpoint = Checkpoints.open(back)) {
      assertEquals(Optional.empty(), QuantStorages.quantizedBy(checkpoint, Optional.empty()));
    }
    assertFalse(Files.exists(back.resolve("quantize_config.json")));
  }

  private static void assertSameFiles(Path one, Path many) throws IOException {
    if (Files.isRegularFile(one)) {
      assertArrayEquals(Files.readAllBytes(one), Files.readAllBytes(many));
      return;
    }
    try (Stream<Path> files = Files.list(one)) {
      for (Path file : files.toList()) {
        assertArrayEquals(
            Files.readAllBytes(file),
            Files.readAllBytes(many.resolve(file.getFileName())),
            String.valueOf(file.getFileName()));
      }
    }
  }

  private JsonNode config(String scheme, String format, String... skip) throws IOException {
    Path target = folder.resolve("config");
    run(request(scheme, format).output(target).skip(skip).form(OutputForm.DIRECTORY).build());
    return new ObjectMapper()
        .readTree(Files.readString(target.resolve("config.json")))
        .path("quantization_config");
  }

  @Test
  void gptqIsDescribedTwice() throws IOException {
    JsonNode json = config("int4:g64:asym", "gptq_v2", "layers.0.self_attn.v_proj");
    assertEquals("gptq", json.path("quant_method").asText());
    assertEquals("gptq_v2", json.path("checkpoint_format").asText());
    assertEquals(4, json.path("bits").asInt());
    assertEquals(64, json.path("group_size").asInt());
    assertFalse(json.path("sym").asBoolean(true));
    assertFalse(json.path("desc_act").asBoolean(true));
    assertTrue(
        json.path("dynamic").has("-:^model\\.layers\\.0\\.self_attn\\.v_proj$"), json.toString());
    assertEquals(
        json,
        new ObjectMapper()
            .readTree(Files.readString(folder.resolve("config/quantize_config.json"))));
    // Older tools have it nowhere else.
    Files.writeString(folder.resolve("config/config.json"), "{\"model_type\": \"qwen3\"}");
    try (OpenModel model = OpenModel.open(folder.resolve("config"))) {
      LogicalTensor weight = model.tensors().get("model.layers.0.mlp.up_proj.weight");
      LogicalTensor.Quantized quantized = assertInstanceOf(LogicalTensor.Quantized.class, weight);
      assertEquals(storage("gptq_v2"), quantized.storage());
    }
  }

  @Test
  void awqAndCompressedTensorsAreDescribed() throws IOException {
    JsonNode awq = config("int4:row", "awq");
    assertEquals(-1, awq.path("group_size").asInt());
    assertEquals("gemm", awq.path("version").asText());
    assertTrue(awq.path("zero_point").asBoolean());
    Path target = folder.resolve("mixed");
    run(
        ConversionRequest.builder(TEXT_ENCODER)
            .schemes(
                List.of(
                    new SchemeRule("*", QuantSchemes.parse("int4:g64:asym")),
                    new SchemeRule("mlp", QuantSchemes.parse("fp8:row"))))
            .output(target)
            .build());
    JsonNode mixed =
        new ObjectMapper()
            .readTree(Files.readString(target.resolve("config.json")))
            .path("quantization_config");
    assertEquals("mixed-precision", mixed.path("format").asText());
    JsonNode first = mixed.path("config_groups").path("group_0");
    JsonNode second = mixed.path("config_groups").path("group_1");
    boolean packedFirst = first.path("format").asText().equals("pack-quantized");
    JsonNode packed = packedFirst ? first : second;
    JsonNode floats = packedFirst ? second : first;
    assertEquals("float-quantized", floats.path("format").asText());
    assertEquals(64, packed.path("weights").path("group_size").asInt());
    assertEquals("channel", floats.path("weights").path("strategy").asText());
    assertEquals("float", floats.path("weights").path("type").asText());
  }

  @Test
  void plainCastsNeedNoConfiguration() throws IOException {
    assertTrue(config("fp8:plain", "").isMissingNode());
  }

  @ParameterizedTest
  @CsvSource({
    "int4:g64, comfyui, DIRECTORY, single files",
    "int4:g64, comfyui, FILE, no such scheme",
    "int8:g64, awq, DIRECTORY, no such scheme",
    "int4:g128, gptq, DIRECTORY, --skip",
    "nf4, gptq, DIRECTORY, no such scheme",
    "int4:g64, gptq_v2, FILE, config.json",
    "fp8:row, scaled-fp8, FILE, no such scheme"
  })
  void whatAFormatCannotStoreIsRefused(String scheme, String format, OutputForm form, String why) {
    Path target = folder.resolve("x" + (form == OutputForm.FILE ? ".safetensors" : ""));
    ConversionException refusal =
        assertThrows(
            ConversionException.class,
            () -> new Converter().plan(request(scheme, format).form(form).output(target).build()));
    assertTrue(String.valueOf(refusal.getMessage()).contains(why), refusal.getMessage());
  }

  @Test
  void oneGridADirectory() {
    ConversionRequest mixed =
        ConversionRequest.builder(TEXT_ENCODER)
            .schemes(
                List.of(
                    new SchemeRule("*", QuantSchemes.parse("int4:g64")),
                    new SchemeRule("mlp", QuantSchemes.parse("int4:g32"))))
            .storage(storage("gptq"))
            .output(folder.resolve("mixed"))
            .build();
    ConversionException refusal =
        assertThrows(ConversionException.class, () -> new Converter().plan(mixed));
    assertTrue(String.valueOf(refusal.getMessage()).contains("one grid"), refusal.getMessage());
  }

  /// A second quantization is refused, whatever made the first.
  @ParameterizedTest
  @CsvSource({
    "int4:g64, gptq, GPTQ",
    "int4:g64, awq, AWQ",
    "int4:g64, '', compressed-tensors",
    "fp8, '', scaled fp8",
    "fp8, comfyui-header, ComfyUI"
  })
  void quantizedSourcesAreRefused(String scheme, String format, String method) throws IOException {
    boolean file = format.startsWith("comfyui");
    Path target = folder.resolve("once" + (file ? ".safetensors" : ""));
    run(
        request(scheme, format)
            .form(file ? OutputForm.FILE : OutputForm.DIRECTORY)
            .output(target)
            .build());
    var refusal =
        assertThrows(
            dev.nibble.formats.UnsupportedException.class,
            () ->
                new Converter()
                    .plan(
                        ConversionRequest.builder(target)
                            .scheme(QuantSchemes.parse("nf4"))
                            .build()));
    assertTrue(String.valueOf(refusal.getMessage()).contains(method), refusal.getMessage());
  }
}
