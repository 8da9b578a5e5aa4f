package dev.nibble.converter;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.gguf.GgufCheckpoint;
import dev.nibble.formats.gguf.GgufTensor;
import dev.nibble.formats.safetensors.SafetensorsCheckpoint;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// GGUF files in which nothing is quantized.
class GgufPlainTest {
  private static final Path Z_IMAGE = Fixtures.path("models/emoji-zimage/transformer");
  private static final Path QWEN = Fixtures.path("models/emoji-qwen/transformer-qwen");

  @TempDir Path folder;

  private ConversionReport convert(ConversionRequest.Builder request) throws IOException {
    Converter converter = new Converter();
    return converter.run(
        converter.plan(request.build()), ProgressListener.none(), new Cancellation());
  }

  private Path gguf(Path source, GgufMix mix) throws IOException {
    Path target = folder.resolve(mix + ".gguf");
    convert(ConversionRequest.builder(source).gguf(mix).output(target));
    return target;
  }

  private static long crc(MemorySegment bytes) {
    CRC32 crc = new CRC32();
    crc.update(bytes.asByteBuffer());
    return crc.getValue();
  }

  /// Every tensor has the type, the shape and the bytes that ComfyUI-GGUF's `convert.py` gives it.
  @ParameterizedTest
  @ValueSource(strings = {"BF16", "F16"})
  void writesWhatConvertPyWrites(String mix) throws IOException {
    JsonNode golden =
        new ObjectMapper().readTree(Fixtures.path("goldens/gguf/plain.json").toFile()).path(mix);
    try (GgufCheckpoint file = GgufCheckpoint.open(gguf(Z_IMAGE, GgufMix.valueOf(mix)))) {
      assertEquals(golden.path("file_type").asText(), file.metadata().get("general.file_type"));
      assertEquals(
          golden.path("architecture").asText(), file.metadata().get("general.architecture"));
      assertEquals(golden.path("tensors").size(), file.header().tensors().size());
      for (GgufTensor tensor : file.header().tensors().values()) {
        JsonNode expected = golden.path("tensors").path(tensor.name());
        assertEquals(expected.path(0).asText(), tensor.type().name(), tensor.name());
        assertEquals(
            expected.path(1).toString().replace(",", ", "),
            tensor.shape().dims().toString(),
            tensor.name());
        MemorySegment bytes =
            file.data(Objects.requireNonNull(file.tensors().get(tensor.name()), tensor.name()));
        assertEquals(expected.path(2).asLong(), crc(bytes), tensor.name());
      }
    }
  }

  /// Every number of a narrower type is one of F32.
  @Test
  void f32LosesNothing() throws IOException {
    VerifyReport report =
        new Verifier()
            .compare(
                Z_IMAGE,
                gguf(Z_IMAGE, GgufMix.F32),
                new MemoryBudget(ConversionRequest.DEFAULT_MEMORY_BYTES, 2),
                ProgressListener.none(),
                new Cancellation());
    assertEquals(
        Optional.of(0.0),
        report.tensors().stream().map(tensor -> tensor.error().maxError()).max(Double::compare));
  }

  @Test
  void sameBytesForAnyThreadsAndMemory() throws IOException {
    Path one = folder.resolve("one.gguf");
    Path many = folder.resolve("many.gguf");
    convert(ConversionRequest.builder(QWEN).gguf(GgufMix.F16).threads(1).output(one));
    convert(
        ConversionRequest.builder(QWEN)
            .gguf(GgufMix.F16)
            .threads(5)
            .memoryBytes(1L << 21)
            .output(many));
    assertEquals(-1, Files.mismatch(one, many));
  }

  /// A model with one value other than zero.
  private Path model(DType dtype, int row, int column, int bits) throws IOException {
    Map<String, Shape> tensors = Map.of("transformer_blocks.0.attn.to_q.weight", Shape.of(64, 64));
    Path path =
        TestModels.write(folder.resolve("m" + dtype + bits + ".safetensors"), tensors, dtype);
    long begin;
    try (var file = SafetensorsCheckpoint.open(path)) {
      begin = file.tensors().values().iterator().next().offset();
    }
    ByteBuffer value = ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(bits).flip();
    int size = dtype.bits() / 8;
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.WRITE)) {
      channel.write(value.limit(size), begin + (row * 64L + column) * size);
    }
    return path;
  }

  /// 65520 is the least number that rounds to infinity in F16; in BF16 it is 2^128 - 2^119.
  @ParameterizedTest
  @CsvSource({
    "BF16, F16, 0x4780, 65536.0",
    "BF16, F16, 0xC780, -65536.0",
    "F32, F16, 0x477FF000, 65520.0",
    "F32, BF16, 0x7F7F8000, 3.3961775E38",
  })
  void numbersOutOfRangeStopTheConversion(String source, String mix, String bits, String value)
      throws IOException {
    Path model = model(DType.named(source).orElseThrow(), 1, 8, Long.decode(bits).intValue());
    Path target = folder.resolve("x.gguf");
    ConversionRequest.Builder request =
        ConversionRequest.builder(model).gguf(GgufMix.valueOf(mix)).output(target);
    var fault = assertThrows(ConversionException.class, () -> convert(request));
    assertEquals(
        ("%s: tensor 'transformer_blocks.0.attn.to_q.weight' holds %s at row 1, column 8, which is"
                + " out of %s's range: take --gguf BF16 or F32, or pass --allow-non-finite to store"
                + " infinity")
            .formatted(model, value, mix),
        fault.getMessage());
    assertFalse(Files.exists(target));
    convert(request.allowNonFinite(true));
    assertTrue(Files.exists(target));
  }

  /// The largest numbers of a type fit, and infinity and NaN are numbers of all.
  @ParameterizedTest
  @CsvSource({
    "F32, F16, 0x477FEFFF",
    "F32, BF16, 0x7F7F7FFF",
    "BF16, F16, 0x7F80",
    "F32, F16, 0x7FC00000",
    "BF16, F32, 0x7F7F",
  })
  void whatTheTypeHasIsWritten(String source, String mix, String bits) throws IOException {
    gguf(
        model(DType.named(source).orElseThrow(), 1, 8, Long.decode(bits).intValue()),
        GgufMix.valueOf(mix));
  }

  /// Also where a quantized file keeps a layer in F16.
  @Test
  void keptLayersOutOfRangeStopTheConversion() throws IOException {
    Map<String, Shape> tensors =
        Map.of("img_in.weight", Shape.of(64, 64), "b.to_q.weight", Shape.of(64, 64));
    Path model = TestModels.write(folder.resolve("kept.safetensors"), tensors, DType.F32);
    long at;
    try (var file = SafetensorsCheckpoint.open(model)) {
      at = Objects.requireNonNull(file.tensors().get("img_in.weight")).offset();
    }
    try (FileChannel channel = FileChannel.open(model, StandardOpenOption.WRITE)) {
      channel.write(
          ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putFloat(1e6f).flip(), at);
    }
    ConversionRequest.Builder request =
        ConversionRequest.builder(model)
            .gguf(GgufMix.Q8_0)
            .skip("img_in")
            .output(folder.resolve("x.gguf"));
    var fault = assertThrows(ConversionException.class, () -> convert(request));
    String message = String.valueOf(fault.getMessage());
    assertTrue(message.contains("'img_in.weight' holds 1000000.0 at row 0, column 0"), message);
    assertTrue(
        message.endsWith("make a file with --gguf BF16 first, and quantize that one"), message);
    Path wide = gguf(model, GgufMix.BF16);
    convert(
        ConversionRequest.builder(wide)
            .gguf(GgufMix.Q8_0)
            .skip("img_in")
            .output(folder.resolve("y.gguf")));
  }
}
