package dev.nibble.formats.gguf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.quant.ggml.GgmlType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Files that gguf-py and a hand-made writer wrote.
class GgufCheckpointTest {
  private static final Path GOLDENS = Fixtures.path("goldens/gguf");

  @TempDir Path folder;

  @Test
  void readsEveryTypeAsTheManifestSays() throws IOException, NoSuchAlgorithmException {
    JsonNode manifest = new ObjectMapper().readTree(GOLDENS.resolve("gguf_manifest.json").toFile());
    try (var checkpoint = GgufCheckpoint.open(GOLDENS.resolve("all_types_flux.gguf"))) {
      assertEquals(15, checkpoint.tensors().size());
      for (JsonNode entry : manifest.get("types")) {
        var tensor = described(checkpoint, entry.get("tensor").asText());
        assertEquals(entry.get("type").asText(), tensor.type().name());
        assertEquals(entry.get("type_id").asInt(), tensor.type().id());
        assertEquals(Shape.of(12, 512), tensor.shape());
        var stored = stored(checkpoint, tensor.name());
        assertEquals(12 * entry.get("row_bytes").asLong(), stored.byteSize());
        byte[] bytes = checkpoint.data(stored).toArray(ValueLayout.JAVA_BYTE);
        assertEquals(
            entry.get("sha256_bytes").asText(),
            HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes)));
      }
    }
  }

  @Test
  void readsEveryKindOfMetadata() throws IOException {
    try (var checkpoint = GgufCheckpoint.open(GOLDENS.resolve("all_types_flux.gguf"))) {
      Map<String, GgufValue> metadata = checkpoint.header().metadata();
      assertEquals(new GgufValue.Whole(GgufType.U8, 200), metadata.get("test.u8"));
      assertEquals(new GgufValue.Whole(GgufType.I8, -100), metadata.get("test.i8"));
      assertEquals(new GgufValue.Whole(GgufType.U16, 60000), metadata.get("test.u16"));
      assertEquals(new GgufValue.Whole(GgufType.I16, -30000), metadata.get("test.i16"));
      assertEquals(new GgufValue.Whole(GgufType.U32, 4_000_000_000L), metadata.get("test.u32"));
      assertEquals(new GgufValue.Whole(GgufType.I32, -2_000_000_000), metadata.get("test.i32"));
      assertEquals(new GgufValue.Real(GgufType.F32, 0.1f), metadata.get("test.f32"));
      assertEquals(new GgufValue.Whole(GgufType.U64, (1L << 63) + 5), metadata.get("test.u64"));
      assertEquals(new GgufValue.Whole(GgufType.I64, -(1L << 62)), metadata.get("test.i64"));
      assertEquals(new GgufValue.Real(GgufType.F64, 0.1), metadata.get("test.f64"));
      assertEquals(new GgufValue.Bool(true), metadata.get("test.bool_true"));
      assertEquals(new GgufValue.Bool(false), metadata.get("test.bool_false"));
      assertEquals(GgufValue.text("h\u00e9llo \u4e16\u754c"), metadata.get("test.string"));
      Map<String, String> texts = checkpoint.metadata();
      assertEquals("flux", texts.get("general.architecture"));
      assertEquals("9223372036854775813", texts.get("test.u64"));
      assertEquals("[1, -2, 3]", texts.get("test.arr_i32"));
      assertEquals("[a, , \u00e9]", texts.get("test.arr_str"));
      assertEquals("[true, false, true]", texts.get("test.arr_bool"));
      assertEquals("[[1, 2], [3, 4, 5]]", texts.get("test.arr_nested"));
    }
  }

  @Test
  void readsOtherAlignmentsAndPlainTypes() throws IOException {
    try (var checkpoint = GgufCheckpoint.open(GOLDENS.resolve("align64_qwen_image.gguf"))) {
      var conv = stored(checkpoint, "proj_in.conv.weight");
      assertEquals(DType.F16, conv.dtype());
      assertEquals(Shape.of(3, 2, 2, 5), conv.shape());
      assertEquals(0, conv.offset() % 64);
      var big = checkpoint.data(stored(checkpoint, "big"));
      assertEquals(1L << 40, big.get(LittleEndian.LONG, 0));
      assertEquals(-1, big.get(LittleEndian.LONG, 8));
      assertEquals(-2.5, checkpoint.data(stored(checkpoint, "dbl")).get(LittleEndian.DOUBLE, 8));
      var quantized = stored(checkpoint, "transformer_blocks.0.attn.to_q.weight");
      assertEquals(DType.U8, quantized.dtype());
      assertEquals(Shape.of(5, 3 * 34), quantized.shape());
    }
  }

  @Test
  void readsAFileWithoutMetadata() throws IOException {
    try (var checkpoint = Checkpoints.open(GOLDENS.resolve("no_kv_sdcpp_style.gguf"))) {
      assertTrue(checkpoint.metadata().isEmpty());
      assertEquals(
          List.of("model.diffusion_model.double_blocks.0.img_attn.qkv.weight"),
          List.copyOf(checkpoint.tensors().keySet()));
    }
  }

  @Test
  void givesBackTheOriginalShape() throws IOException {
    Path path = GOLDENS.resolve("orig_shape_lumina2.gguf");
    try (var checkpoint = GgufCheckpoint.open(path)) {
      var tensor = described(checkpoint, "x_embedder.weight");
      assertEquals(GgmlType.Q4_K, tensor.type());
      assertEquals(Shape.of(6, 256), tensor.shape());
      assertEquals(Shape.of(32, 3, 4, 4), checkpoint.header().shape(path, tensor));
    }
  }

  @Test
  void opensByContentWhateverTheName() throws IOException {
    Path renamed = folder.resolve("model.safetensors");
    Files.copy(GOLDENS.resolve("align64_qwen_image.gguf"), renamed);
    try (var checkpoint = Checkpoints.open(renamed)) {
      assertEquals("qwen_image", checkpoint.metadata().get("general.architecture"));
    }
  }

  @Test
  void refusesBigEndianWithTheCure() {
    Path path = GOLDENS.resolve("big_endian.gguf");
    var refusal = assertThrows(UnsupportedException.class, () -> Checkpoints.open(path));
    String message = String.valueOf(refusal.getMessage());
    assertTrue(message.contains("gguf-convert-endian"), message);
  }

  @Test
  void namesTheTypeItDoesNotRead() throws IOException {
    byte[] bytes = Files.readAllBytes(GOLDENS.resolve("no_kv_sdcpp_style.gguf"));
    // 24 bytes of head, the name's length and the name, the rank and two dimensions.
    int at = 24 + 8 + "model.diffusion_model.double_blocks.0.img_attn.qkv.weight".length() + 4 + 16;
    MemorySegment.ofArray(bytes).set(LittleEndian.INT, at, 19);
    Path path = Files.write(folder.resolve("iq1.gguf"), bytes);
    var refusal = assertThrows(UnsupportedException.class, () -> Checkpoints.open(path));
    String message = String.valueOf(refusal.getMessage());
    assertTrue(message.contains("IQ1_S") && message.contains("img_attn.qkv"), message);
  }

  @Test
  void closesItsMemory() throws IOException {
    var checkpoint = GgufCheckpoint.open(GOLDENS.resolve("align64_qwen_image.gguf"));
    var tensor = stored(checkpoint, "big");
    MemorySegment data = checkpoint.data(tensor);
    checkpoint.close();
    assertThrows(IllegalStateException.class, () -> data.get(LittleEndian.LONG, 0));
    assertThrows(IllegalStateException.class, () -> checkpoint.data(tensor));
  }

  private static TensorInfo stored(Checkpoint checkpoint, String name) {
    return Objects.requireNonNull(checkpoint.tensors().get(name), name);
  }

  private static GgufTensor described(GgufCheckpoint checkpoint, String name) {
    return Objects.requireNonNull(checkpoint.header().tensors().get(name), name);
  }
}
