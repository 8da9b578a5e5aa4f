package dev.nibble.converter;

import static dev.nibble.converter.EqualCheckpoints.assertEqualTensors;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.converter.ConversionRequest.OutputForm;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.DType;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.model.ModelFamily.Dialect;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.formats.safetensors.SafetensorsLayout;
import dev.nibble.formats.safetensors.SafetensorsWriter;
import dev.nibble.formats.safetensors.TensorSpec;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Outputs with other names than their source: rows are joined and split before they are quantized.
class NamesTest {
  private static final Path ZIMAGE = Fixtures.path("models/emoji-zimage/transformer");
  private static final Path CONFIG = ZIMAGE.resolve("config.json");

  @TempDir Path folder;

  private final Converter converter = new Converter();
  private Path original = Path.of("");

  /// The fixture as a single file in original names, put together here without any table.
  @BeforeEach
  void writeOriginal() throws IOException {
    original = folder.resolve("original.safetensors");
    Map<String, List<TensorInfo>> joined = new LinkedHashMap<>();
    try (Checkpoint source = Checkpoints.open(ZIMAGE)) {
      for (TensorInfo info : source.tensors().values()) {
        String name =
            info.name()
                .replace("all_x_embedder.2-1.", "x_embedder.")
                .replace("all_final_layer.2-1.", "final_layer.")
                .replace("attention.norm_q", "attention.q_norm")
                .replace("attention.norm_k", "attention.k_norm")
                .replace("attention.to_out.0", "attention.out")
                .replaceAll("attention\\.to_[qkv]\\.", "attention.qkv.");
        joined.computeIfAbsent("model.diffusion_model." + name, _ -> new ArrayList<>()).add(info);
      }
      for (List<TensorInfo> parts : joined.values()) {
        // by name: k, q, v; the original has q, k, v
        if (parts.size() == 3) {
          parts.sort((a, b) ->
              Integer.compare(
                  "qkv".indexOf(a.name().charAt(a.name().length() - 8)),
                  "qkv".indexOf(b.name().charAt(b.name().length() - 8))));
        }
      }
      write(source, joined);
    }
  }

  private void write(Checkpoint source, Map<String, List<TensorInfo>> joined) throws IOException {
    List<TensorSpec> specs = new ArrayList<>();
    joined.forEach((name, parts) -> {
      TensorInfo first = parts.getFirst();
      List<Long> dims = new ArrayList<>(first.shape().dims());
      dims.set(0, dims.getFirst() * parts.size());
      specs.add(new TensorSpec(name, first.dtype(), new Shape(dims)));
    });
    SafetensorsLayout layout = SafetensorsLayout.plan(specs, List.of(), Map.of());
    try (SafetensorsWriter writer = SafetensorsWriter.create(original, layout)) {
      for (Map.Entry<String, List<TensorInfo>> entry : joined.entrySet()) {
        long at = 0;
        for (TensorInfo part : entry.getValue()) {
          MemorySegment data = source.data(part);
          writer.write(entry.getKey(), at, data);
          at += data.byteSize();
        }
      }
      writer.finish();
    }
  }

  private ConversionReport quantize(ConversionRequest.Builder request, String name)
      throws IOException {
    // Slices of 64 KiB end within the pieces of fused weights.
    ConversionRequest built =
        request.output(folder.resolve(name)).threads(2).memoryBytes(1 << 20).build();
    return converter.run(converter.plan(built), ProgressListener.none(), new Cancellation());
  }

  private static ConversionRequest.Builder request(Path source, String scheme) {
    return ConversionRequest.builder(source).scheme(QuantSchemes.parse(scheme));
  }

  @ParameterizedTest
  @ValueSource(strings = {"nf4", "fp4:4096:plain", "int8", "absmax8", "fp8", "int4:g32"})
  void aDirectoryInOriginalNamesIsTheQuantizedOriginal(String scheme) throws IOException {
    quantize(request(original, scheme), "expected.safetensors");
    quantize(request(ZIMAGE, scheme).names(Dialect.ORIGINAL), "found.safetensors");
    Map<String, String> bare = new LinkedHashMap<>();
    try (Checkpoint expected = Checkpoints.open(folder.resolve("expected.safetensors"));
        Checkpoint found = Checkpoints.open(folder.resolve("found.safetensors"))) {
      for (TensorInfo info : expected.tensors().values()) {
        bare.put(info.name().substring("model.diffusion_model.".length()), info.name());
      }
      assertEquals(bare.keySet(), found.tensors().keySet());
      for (TensorInfo info : found.tensors().values()) {
        TensorInfo other =
            Optional.ofNullable(expected.tensors().get(bare.get(info.name()))).orElseThrow();
        assertEquals(other.shape(), info.shape());
        assertEquals(-1, expected.data(other).mismatch(found.data(info)), info.name());
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"nf4", "fp4:4096:plain", "int8", "absmax8", "fp8", "int4:g32"})
  void anOriginalFileMakesTheDirectoryThatTheLoaderKnows(String scheme) throws IOException {
    quantize(request(ZIMAGE, scheme), "expected");
    quantize(request(original, scheme).config(CONFIG), "found");
    assertEqualTensors(folder.resolve("expected"), folder.resolve("found"));
    assertEquals(
        Files.readString(folder.resolve("expected/config.json")),
        Files.readString(folder.resolve("found/config.json")));
  }

  @Test
  void withoutASchemeOnlyTheNamesChange() throws IOException {
    quantize(ConversionRequest.builder(ZIMAGE).names(Dialect.ORIGINAL), "o.safetensors");
    try (Checkpoint expected = Checkpoints.open(original);
        Checkpoint found = Checkpoints.open(folder.resolve("o.safetensors"))) {
      assertEquals(expected.tensors().size(), found.tensors().size());
      for (TensorInfo info : expected.tensors().values()) {
        String name = info.name().substring("model.diffusion_model.".length());
        TensorInfo other = Optional.ofNullable(found.tensors().get(name)).orElseThrow();
        assertEquals(info.shape(), other.shape());
        assertEquals(-1, expected.data(info).mismatch(found.data(other)), name);
      }
    }
    ConversionReport report =
        quantize(
            ConversionRequest.builder(folder.resolve("o.safetensors"))
                .names(Dialect.LIBRARY)
                .config(CONFIG),
            "back");
    assertEqualTensors(ZIMAGE, folder.resolve("back"));
    assertEquals(
        new ObjectMapper().readTree(CONFIG.toFile()),
        new ObjectMapper().readTree(folder.resolve("back/config.json").toFile()));
    assertTrue(
        report.plan().notes().stream().anyMatch(note -> note.contains("ZImageTransformer2DModel")),
        report.plan().notes().toString());
    assertThrows(
        IllegalArgumentException.class,
        () -> converter.plan(ConversionRequest.builder(ZIMAGE).build()));
  }

  @Test
  void aSingleFileKeepsItsNamesUnlessToldOtherwise() throws IOException {
    assertTrue(plan(request(original, "nf4")).contains("model.diffusion_model.layers.0."));
    assertTrue(
        plan(request(original, "nf4").names(Dialect.LIBRARY)).contains(".attention.to_q.weight"));
    assertTrue(
        plan(request(original, "nf4").names(Dialect.ORIGINAL)).contains("model.diffusion_model."));
    assertFalse(plan(request(ZIMAGE, "nf4")).contains("qkv"));
  }

  private String plan(ConversionRequest.Builder request) throws IOException {
    StringBuilder names = new StringBuilder();
    converter
        .plan(request.build())
        .tensors()
        .forEach(tensor -> names.append(tensor.source().name()).append('\n'));
    return names.toString();
  }

  @Test
  void originalNamesMakeASingleFile() throws IOException {
    ConversionPlan plan = converter.plan(request(ZIMAGE, "nf4").names(Dialect.ORIGINAL).build());
    assertFalse(plan.directory());
    NibbleException refused =
        assertThrows(
            NibbleException.class,
            () ->
                converter.plan(
                    request(ZIMAGE, "nf4")
                        .names(Dialect.ORIGINAL)
                        .form(OutputForm.DIRECTORY)
                        .output(folder.resolve("d"))
                        .build()));
    assertTrue(String.valueOf(refused.getMessage()).contains("-o X.safetensors"));
  }

  @Test
  void patternsAreThoseOfTheOutput() throws IOException {
    ConversionReport report =
        quantize(
            request(ZIMAGE, "nf4").names(Dialect.ORIGINAL).only(List.of("qkv")), "qkv.safetensors");
    assertTrue(
        report.tensors().stream()
            .allMatch(tensor ->
                tensor.plan().source().name().endsWith(".qkv.weight")
                    == tensor.plan() instanceof TensorPlan.Quantize));
  }

  @Test
  void aQuantizedSourceIsDecodedRowsAndAll() throws IOException {
    quantize(request(ZIMAGE, "nf4"), "nf4");
    new Dequantizer()
        .run(
            new DequantizeRequest(
                folder.resolve("nf4"),
                Optional.empty(),
                Optional.of(folder.resolve("plain")),
                OutputForm.AUTO,
                false,
                ConversionRequest.DEFAULT_SHARD_BYTES,
                2,
                ConversionRequest.DEFAULT_MEMORY_BYTES),
            ProgressListener.none(),
            new Cancellation());
    quantize(
        request(folder.resolve("plain"), "int8").names(Dialect.ORIGINAL), "expected.safetensors");
    quantize(
        request(folder.resolve("nf4"), "int8").names(Dialect.ORIGINAL).allowRequantize(true),
        "found.safetensors");
    assertEqualTensors(folder.resolve("expected.safetensors"), folder.resolve("found.safetensors"));
  }

  @Test
  void piecesOfDifferentTypesAreNotJoined() throws IOException {
    Map<String, Shape> parts = new LinkedHashMap<>();
    parts.put("layers.0.adaLN_modulation.0.weight", Shape.of(64, 64));
    for (String part : List.of("to_q", "to_k")) {
      parts.put("layers.0.attention." + part + ".weight", Shape.of(64, 64));
    }
    Path half = TestModels.write(folder.resolve("a.safetensors"), parts, DType.BF16);
    Path other =
        TestModels.write(
            folder.resolve("b.safetensors"),
            Map.of("layers.0.attention.to_v.weight", Shape.of(64, 64)),
            DType.F32);
    Path index = folder.resolve("m.safetensors.index.json");
    StringBuilder map = new StringBuilder();
    parts
        .keySet()
        .forEach(name -> map.append("\"%s\":\"%s\",".formatted(name, half.getFileName())));
    map.append("\"layers.0.attention.to_v.weight\":\"%s\"".formatted(other.getFileName()));
    Files.writeString(index, "{\"metadata\":{},\"weight_map\":{%s}}".formatted(map));
    NibbleException refused =
        assertThrows(
            NibbleException.class,
            () -> converter.plan(request(index, "nf4").names(Dialect.ORIGINAL).build()));
    assertTrue(
        String.valueOf(refused.getMessage()).contains("to_q.weight' is BF16"),
        refused.getMessage());
  }

  @Test
  void aFamilyWithoutATableIsRefused() throws IOException {
    Map<String, Shape> t5 = new LinkedHashMap<>();
    t5.put("encoder.block.0.layer.0.SelfAttention.q.weight", Shape.of(64, 64));
    t5.put("encoder.block.0.layer.1.DenseReluDense.wo.weight", Shape.of(64, 64));
    t5.put("shared.weight", Shape.of(64, 64));
    Path file = TestModels.write(folder.resolve("t5.safetensors"), t5, DType.BF16);
    NibbleException refused =
        assertThrows(
            NibbleException.class,
            () -> converter.plan(request(file, "nf4").names(Dialect.ORIGINAL).build()));
    assertTrue(String.valueOf(refused.getMessage()).contains("no table of the names"));
  }
}
