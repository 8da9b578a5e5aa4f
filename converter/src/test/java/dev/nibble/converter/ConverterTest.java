package dev.nibble.converter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.formats.safetensors.SafetensorsCheckpoint;
import dev.nibble.formats.safetensors.SafetensorsLayout;
import dev.nibble.formats.safetensors.SafetensorsWriter;
import dev.nibble.formats.safetensors.TensorSpec;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Whole conversions: what is in the output besides the codes, and what is refused.
class ConverterTest {
  private static final String WEIGHT = "transformer_blocks.0.attn.to_q.weight";
  private static final String BIAS = "transformer_blocks.0.attn.to_q.bias";

  @TempDir Path folder;

  private final Converter converter = new Converter();

  private ConversionReport run(ConversionRequest request) throws IOException {
    return converter.run(converter.plan(request), ProgressListener.none(), new Cancellation());
  }

  /// A file with one linear layer of 64x64, whose element at row 3, column 5 is `value`.
  private Path file(float value) throws IOException {
    MemorySegment weight = MemorySegment.ofArray(new byte[64 * 64 * Float.BYTES]);
    for (int i = 0; i < 64 * 64; i++) {
      weight.setAtIndex(LittleEndian.FLOAT, i, (float) Math.sin(i));
    }
    weight.setAtIndex(LittleEndian.FLOAT, 3 * 64 + 5, value);
    Path file = folder.resolve("model.safetensors");
    SafetensorsLayout layout =
        SafetensorsLayout.plan(
            List.of(
                new TensorSpec(WEIGHT, DType.F32, Shape.of(64, 64)),
                new TensorSpec(BIAS, DType.F32, Shape.of(64))),
            List.of(),
            Map.of("license", "mine", "format", "pt"));
    try (SafetensorsWriter writer = SafetensorsWriter.create(file, layout)) {
      writer.write(WEIGHT, 0, weight);
      writer.write(BIAS, 0, weight.asSlice(0, 64 * Float.BYTES));
      writer.finish();
    }
    return file;
  }

  private ConversionRequest.Builder request(Path source, String scheme) {
    return ConversionRequest.builder(source).scheme(QuantSchemes.parse(scheme));
  }

  private static void assertMessage(String part, Exception e) {
    assertTrue(String.valueOf(e.getMessage()).contains(part), String.valueOf(e.getMessage()));
  }

  private List<String> namesInFolder() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(path -> String.valueOf(path.getFileName())).sorted().toList();
    }
  }

  @Test
  void nonFiniteWeightsAreRefusedByNameAndPlace() throws IOException {
    for (float value : new float[] {Float.NaN, Float.NEGATIVE_INFINITY}) {
      for (String scheme : List.of("nf4", "fp4:128:plain", "int8", "absmax8", "bnb8-dynamic")) {
        Path source = file(value);
        NibbleException e =
            assertThrows(NibbleException.class, () -> run(request(source, scheme).build()));
        assertMessage(source + ": tensor '" + WEIGHT + "'", e);
        assertMessage("row 3, column 5", e);
        assertMessage("--allow-non-finite", e);
        assertEquals(List.of("model.safetensors"), namesInFolder());
      }
    }
  }

  @Test
  void aValueThatOverflowsFp16IsRefusedForLlmInt8Only() throws IOException {
    Path source = file(1e6f);
    assertMessage(
        "row 3, column 5",
        assertThrows(NibbleException.class, () -> run(request(source, "int8").build())));
    run(request(source, "nf4").build());
  }

  @Test
  void nonFiniteWeightsPassWhereAllowedButNotDoubleQuantization() throws IOException {
    Path source = file(Float.NaN);
    run(request(source, "nf4:64:plain").allowNonFinite(true).build());
    NibbleException e =
        assertThrows(
            NibbleException.class,
            () -> run(request(source, "nf4").allowNonFinite(true).force(true).build()));
    assertMessage("--no-double-quant", e);
    assertMessage(WEIGHT, e);
  }

  @Test
  void metadataIsKeptAndProvenanceAddedWithoutPaths() throws IOException {
    Path source = file(0);
    ConversionReport report = run(request(source, "nf4").hashSource(true).build());
    try (Checkpoint written = SafetensorsCheckpoint.open(report.outputs())) {
      assertEquals("mine", written.metadata().get("license"));
      assertEquals("pt", written.metadata().get("format"));
      String record = String.valueOf(written.metadata().get("nibble"));
      assertFalse(record.contains(folder.toString()), record);
      JsonNode json = new ObjectMapper().readTree(record);
      assertEquals("nibble", json.get("tool").textValue());
      assertEquals("nf4: linear layer", json.get("tensors").get(WEIGHT).textValue());
      JsonNode hashes = json.get("sources").get(0);
      assertEquals("model.safetensors", hashes.get("name").textValue());
      assertEquals(Files.size(source), hashes.get("size").longValue());
      assertEquals(64, hashes.get("header_sha256").textValue().length());
      assertEquals(64, hashes.get("sha256").textValue().length());
    }
  }

  @Test
  void keptFloatsAreCastOnDemand() throws IOException {
    Path source = file(0);
    Path plain = folder.resolve("plain.safetensors");
    Path cast = folder.resolve("cast.safetensors");
    run(request(source, "nf4").output(plain).build());
    run(request(source, "nf4").output(cast).keptDtype(DType.BF16).build());
    try (Checkpoint a = Checkpoints.open(plain);
        Checkpoint b = Checkpoints.open(cast)) {
      TensorInfo kept = Optional.ofNullable(a.tensors().get(BIAS)).orElseThrow();
      TensorInfo rounded = Optional.ofNullable(b.tensors().get(BIAS)).orElseThrow();
      assertEquals(DType.F32, kept.dtype());
      assertEquals(DType.BF16, rounded.dtype());
      for (int i = 0; i < 64; i++) {
        float expected = a.data(kept).getAtIndex(LittleEndian.FLOAT, i);
        int found = b.data(rounded).getAtIndex(LittleEndian.SHORT, i) << 16;
        assertEquals(expected, Float.intBitsToFloat(found), Math.abs(expected) / 256);
      }
    }
  }

  @Test
  void aWeightAndItsStatisticsShareAShard() throws IOException {
    Path target = folder.resolve("out");
    run(
        request(Fixtures.path("models/emoji-qwen/transformer-qwen"), "nf4")
            .output(target)
            .maxShardBytes(200_000)
            .build());
    try (Checkpoint written = Checkpoints.open(target)) {
      assertTrue(written.files().size() > 5, "shards: " + written.files().size());
      Set<String> weights = new HashSet<>();
      for (TensorInfo info : written.tensors().values()) {
        int stem = info.name().indexOf(".weight.");
        if (stem >= 0) {
          String weight = info.name().substring(0, stem + ".weight".length());
          TensorInfo codes = Optional.ofNullable(written.tensors().get(weight)).orElseThrow();
          assertEquals(codes.file(), info.file(), info.name());
          weights.add(weight);
        }
      }
      assertEquals(62, weights.size());
    }
  }

  @Test
  void aSourceThatChangedSinceThePlanIsRefused() throws IOException {
    Path source = file(0);
    ConversionPlan plan = converter.plan(request(source, "nf4").build());
    Files.write(source, new byte[] {0}, StandardOpenOption.APPEND);
    assertThrows(
        NibbleException.class,
        () -> converter.run(plan, ProgressListener.none(), new Cancellation()));
    assertEquals(List.of("model.safetensors"), namesInFolder());
  }

  @Test
  void aQuantizedSourceIsRefused() throws IOException {
    ConversionReport report = run(request(file(0), "nf4").build());
    Path quantized = report.outputs().getFirst();
    NibbleException e =
        assertThrows(NibbleException.class, () -> run(request(quantized, "int8").build()));
    assertMessage("bitsandbytes", e);
  }
}
