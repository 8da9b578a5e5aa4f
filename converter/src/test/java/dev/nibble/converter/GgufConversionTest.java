package dev.nibble.converter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.gguf.GgufCheckpoint;
import dev.nibble.formats.gguf.GgufLayout;
import dev.nibble.formats.gguf.GgufType;
import dev.nibble.formats.gguf.GgufValue;
import dev.nibble.formats.gguf.GgufWriter;
import dev.nibble.formats.model.ModelFamily.Dialect;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.formats.quant.ggml.GgmlType;
import dev.nibble.formats.safetensors.SafetensorsCheckpoint;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Whole conversions to GGUF files and from them, on the miniatures.
class GgufConversionTest {
  private static final Path Z_IMAGE = Fixtures.path("models/emoji-zimage/transformer");
  private static final Path QWEN = Fixtures.path("models/emoji-qwen/transformer-qwen");
  private static final long SMALLEST_MEMORY = 1L << 21;

  @TempDir Path folder;

  private final Converter converter = new Converter();

  private ConversionReport convert(ConversionRequest.Builder request) throws IOException {
    return converter.run(
        converter.plan(request.build()), ProgressListener.none(), new Cancellation());
  }

  private Path gguf(Path source, GgufMix mix, String name) throws IOException {
    Path target = folder.resolve(name);
    convert(ConversionRequest.builder(source).gguf(mix).output(target));
    return target;
  }

  private Path dequantized(Path source, DType dtype, String name) throws IOException {
    Path target = folder.resolve(name);
    new Dequantizer()
        .run(
            new DequantizeRequest(
                source,
                Optional.of(dtype),
                Optional.of(target),
                ConversionRequest.OutputForm.AUTO,
                false,
                ConversionRequest.DEFAULT_SHARD_BYTES,
                2,
                ConversionRequest.DEFAULT_MEMORY_BYTES),
            ProgressListener.none(),
            new Cancellation());
    return target;
  }

  @Test
  void fileHoldsWhatThePlanSays() throws IOException {
    Path target = folder.resolve("z.gguf");
    ConversionReport report =
        convert(ConversionRequest.builder(Z_IMAGE).gguf(GgufMix.Q8_0).output(target));
    try (GgufCheckpoint file = GgufCheckpoint.open(target)) {
      assertEquals("lumina2", file.metadata().get("general.architecture"));
      assertTrue(String.valueOf(file.metadata().get("nibble")).contains("\"gguf\":\"Q8_0\""));
      assertEquals(report.plan().tensors().size(), file.tensors().size());
      for (TensorPlan tensor : report.plan().tensors()) {
        var stored = Objects.requireNonNull(file.header().tensors().get(tensor.source().name()));
        assertEquals(tensor.bytesOut(), stored.byteSize(), stored.name());
        assertEquals(tensor.source().shape(), stored.shape(), stored.name());
        GgmlType expected =
            switch (tensor) {
              case TensorPlan.Quantize _ -> GgmlType.Q8_0;
              case TensorPlan.Cast cast -> GgmlType.of(cast.target()).orElseThrow();
              case TensorPlan.Keep keep -> GgmlType.of(keep.source().dtype()).orElseThrow();
              case TensorPlan.Rescale scaled ->
                  throw new AssertionError("nothing is calibrated: " + scaled);
            };
        assertEquals(expected, stored.type(), stored.name());
      }
      // The original names join what diffusers has apart.
      assertTrue(file.tensors().containsKey("layers.0.attention.qkv.weight"));
    }
  }

  /// Queries, keys and values are joined before they are quantized, so blocks of rows are the same.
  @Test
  void namesDoNotChangeTheBlocks() throws IOException {
    Path original = gguf(Z_IMAGE, GgufMix.Q8_0, "original.gguf");
    Path library = folder.resolve("library.gguf");
    convert(
        ConversionRequest.builder(Z_IMAGE)
            .gguf(GgufMix.Q8_0)
            .names(Dialect.LIBRARY)
            .output(library));
    try (GgufCheckpoint a = GgufCheckpoint.open(original);
        GgufCheckpoint b = GgufCheckpoint.open(library)) {
      MemorySegment fused = data(a, "layers.1.attention.qkv.weight");
      long third = fused.byteSize() / 3;
      int at = 0;
      for (String name : List.of("to_q", "to_k", "to_v")) {
        MemorySegment part = data(b, "layers.1.attention." + name + ".weight");
        assertEquals(-1, fused.asSlice(third * at++, third).mismatch(part), name);
      }
    }
  }

  private static MemorySegment data(GgufCheckpoint file, String name) {
    return file.data(Objects.requireNonNull(file.tensors().get(name), name));
  }

  @ParameterizedTest
  @ValueSource(strings = {"Q4_K_M", "Q8_0"})
  void sameBytesForAnyThreadsAndMemory(String mix) throws IOException {
    Path one = folder.resolve("one.gguf");
    Path many = folder.resolve("many.gguf");
    GgufMix wanted = GgufMix.valueOf(mix);
    convert(ConversionRequest.builder(QWEN).gguf(wanted).threads(1).output(one));
    convert(
        ConversionRequest.builder(QWEN)
            .gguf(wanted)
            .threads(5)
            .memoryBytes(SMALLEST_MEMORY)
            .output(many));
    assertEquals(-1, Files.mismatch(one, many));
  }

  @ParameterizedTest
  @CsvSource({"Q8_0, 44", "Q5_1, 26", "Q4_0, 19", "IQ4_NL, 20", "MXFP4, 17"})
  void decodesBackToTheSource(String mix, double leastSnr) throws IOException {
    Path quantized = gguf(QWEN, GgufMix.valueOf(mix), "q.gguf");
    VerifyReport report =
        new Verifier()
            .compare(
                QWEN,
                quantized,
                new MemoryBudget(ConversionRequest.DEFAULT_MEMORY_BYTES, 2),
                ProgressListener.none(),
                new Cancellation());
    assertEquals(List.of(), report.onlyFirst());
    assertEquals(List.of(), report.onlySecond());
    long worse =
        report.tensors().stream().filter(tensor -> tensor.error().snrDb() < leastSnr).count();
    assertEquals(0, worse, report.tensors().toString());
  }

  @Test
  void dequantizeWritesSafetensors() throws IOException {
    Path quantized = gguf(QWEN, GgufMix.Q8_0, "q.gguf");
    Path plain = dequantized(quantized, DType.BF16, "plain.safetensors");
    try (var file = SafetensorsCheckpoint.open(plain);
        GgufCheckpoint source = GgufCheckpoint.open(quantized)) {
      assertEquals(Map.of("format", "pt"), file.metadata());
      assertEquals(source.tensors().keySet().size(), file.tensors().size());
      TensorInfo weight =
          Objects.requireNonNull(file.tensors().get("transformer_blocks.0.attn.to_q.weight"));
      assertEquals(DType.BF16, weight.dtype());
      assertEquals(Shape.of(192, 192), weight.shape());
    }
  }

  @Test
  void quantizedFilesAreQuantizedAgainOnlyOnDemand() throws IOException {
    Path quantized = gguf(QWEN, GgufMix.Q8_0, "q.gguf");
    Path target = folder.resolve("again.safetensors");
    ConversionRequest.Builder request =
        ConversionRequest.builder(quantized).scheme(QuantSchemes.parse("nf4")).output(target);
    var refusal = assertThrows(UnsupportedException.class, () -> convert(request));
    assertTrue(String.valueOf(refusal.getMessage()).contains("GGUF (Q8_0)"));
    assertTrue(String.valueOf(refusal.getMessage()).contains("--allow-requantize"));
    convert(request.allowRequantize(true));
    Path plain = dequantized(quantized, DType.BF16, "plain.safetensors");
    Path expected = folder.resolve("expected.safetensors");
    convert(ConversionRequest.builder(plain).scheme(QuantSchemes.parse("nf4")).output(expected));
    EqualCheckpoints.assertEqualTensors(expected, target);
  }

  /// F16, BF16 and F32 are no quantization.
  @Test
  void plainFilesAreSourcesLikeOthers() throws IOException {
    Path plain = folder.resolve("plain.gguf");
    try (var source = SafetensorsCheckpoint.open(shards(QWEN))) {
      List<GgufLayout.Spec> specs =
          source.tensors().values().stream()
              .map(tensor ->
                  new GgufLayout.Spec(
                      tensor.name(), GgmlType.of(tensor.dtype()).orElseThrow(), tensor.shape()))
              .toList();
      GgufLayout layout =
          GgufLayout.plan(specs, Map.of("general.architecture", GgufValue.text("qwen_image")));
      try (GgufWriter writer = GgufWriter.create(plain, layout, plain)) {
        for (TensorInfo tensor : source.tensors().values()) {
          writer.write(tensor.name(), 0, source.data(tensor));
        }
        writer.finish();
      }
    }
    Path fromGguf = folder.resolve("a.safetensors");
    Path fromDirectory = folder.resolve("b.safetensors");
    for (Map.Entry<Path, Path> run : Map.of(plain, fromGguf, QWEN, fromDirectory).entrySet()) {
      convert(
          ConversionRequest.builder(run.getKey())
              .scheme(QuantSchemes.parse("nf4"))
              .output(run.getValue()));
    }
    EqualCheckpoints.assertEqualTensors(fromDirectory, fromGguf);
    Path mixed = gguf(plain, GgufMix.Q8_0, "mixed.gguf");
    try (GgufCheckpoint a = GgufCheckpoint.open(mixed);
        GgufCheckpoint b = GgufCheckpoint.open(gguf(QWEN, GgufMix.Q8_0, "direct.gguf"))) {
      for (TensorInfo tensor : a.tensors().values()) {
        assertEquals(-1, a.data(tensor).mismatch(data(b, tensor.name())), tensor.name());
      }
    }
  }

  private static List<Path> shards(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.filter(file -> file.toString().endsWith(".safetensors")).sorted().toList();
    }
  }

  @Test
  void importanceReachesTheWeightsThatItKnows() throws IOException {
    String known = "transformer_blocks.0.attn.to_q.weight";
    Path matrix = folder.resolve("imatrix.gguf");
    GgufLayout layout =
        GgufLayout.plan(
            List.of(
                new GgufLayout.Spec(known + ".in_sum2", GgmlType.F32, Shape.of(1, 192)),
                new GgufLayout.Spec(known + ".counts", GgmlType.F32, Shape.of(1, 1))),
            Map.of(
                "general.type",
                GgufValue.text("imatrix"),
                "imatrix.datasets",
                new GgufValue.Array(GgufType.STRING, List.of(GgufValue.text("prompts.txt"))),
                "imatrix.chunk_count",
                GgufValue.u32(7)));
    float[] sums = new float[192];
    for (int i = 0; i < sums.length; i++) {
      sums[i] = i % 2 == 0 ? 100 : 1;
    }
    try (GgufWriter writer = GgufWriter.create(matrix, layout, matrix)) {
      writer.write(known + ".in_sum2", 0, MemorySegment.ofArray(sums));
      writer.write(known + ".counts", 0, MemorySegment.ofArray(new float[] {1}));
      writer.finish();
    }
    Path plain = gguf(QWEN, GgufMix.Q4_0, "plain.gguf");
    Path weighed = folder.resolve("weighed.gguf");
    ConversionReport report =
        convert(ConversionRequest.builder(QWEN).gguf(GgufMix.Q4_0).imatrix(matrix).output(weighed));
    assertTrue(
        report.plan().notes().stream()
            .anyMatch(note -> note.contains("importance matrix knows 1 of ")),
        report.plan().notes().toString());
    try (GgufCheckpoint a = GgufCheckpoint.open(plain);
        GgufCheckpoint b = GgufCheckpoint.open(weighed)) {
      assertEquals("imatrix.gguf", b.metadata().get("quantize.imatrix.file"));
      assertEquals("prompts.txt", b.metadata().get("quantize.imatrix.dataset"));
      Map<String, GgufValue> metadata = b.header().metadata();
      assertEquals(GgufValue.u32(1), metadata.get("quantize.imatrix.entries_count"));
      assertEquals(GgufValue.u32(7), metadata.get("quantize.imatrix.chunks_count"));
      assertNotEquals(-1, data(a, known).mismatch(data(b, known)));
      String other = "transformer_blocks.0.attn.to_k.weight";
      assertEquals(-1, data(a, other).mismatch(data(b, other)));
    }
    Path nothing = folder.resolve("nothing.gguf");
    var refusal =
        assertThrows(
            ConversionException.class,
            () ->
                convert(
                    ConversionRequest.builder(Z_IMAGE)
                        .gguf(GgufMix.Q4_0)
                        .imatrix(matrix)
                        .output(nothing)));
    assertTrue(String.valueOf(refusal.getMessage()).contains("knows none of the weights"));
    assertFalse(Files.exists(nothing));
  }

  @Test
  void valuesThatNoBlockHoldsStopTheConversion() throws IOException {
    Path broken = folder.resolve("broken.safetensors");
    try (var source = SafetensorsCheckpoint.open(shards(QWEN))) {
      Files.copy(source.files().getFirst().path(), broken);
      TensorInfo weight =
          Objects.requireNonNull(source.tensors().get("transformer_blocks.0.attn.to_q.weight"));
      byte[] bytes = Files.readAllBytes(broken);
      MemorySegment.ofArray(bytes)
          .set(LittleEndian.SHORT, weight.offset() + 2 * 200, (short) 0x7F80);
      Files.write(broken, bytes);
    }
    Path target = folder.resolve("x.gguf");
    var fault =
        assertThrows(
            ConversionException.class,
            () -> convert(ConversionRequest.builder(broken).gguf(GgufMix.Q8_0).output(target)));
    String message = String.valueOf(fault.getMessage());
    assertTrue(message.contains("row 1, column 8"), message);
    assertFalse(Files.exists(target));
  }
}
