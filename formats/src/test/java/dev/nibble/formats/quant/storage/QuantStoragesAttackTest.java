package dev.nibble.formats.quant.storage;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.formats.DType;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.TestCheckpoint;
import dev.nibble.formats.UnsupportedException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Files whose quantized weights contradict themselves: each is refused by name, in one line.
class QuantStoragesAttackTest {
  private static final Shape SHAPE = Shape.of(16, 64);
  private static final String WEIGHT = "l.0.weight";

  private static void refused(TestCheckpoint checkpoint, String... words) {
    NibbleException refused =
        assertThrows(
            NibbleException.class,
            () -> QuantStorages.read(checkpoint, Optional.empty(), Arena.ofAuto()));
    String message = String.valueOf(refused.getMessage());
    for (String word : words) {
      assertTrue(message.contains(word), message);
    }
    assertFalse(message.contains("\n"), message);
  }

  private static void text(TestCheckpoint checkpoint, String name, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    checkpoint.put(name, DType.U8, Shape.of(bytes.length), MemorySegment.ofArray(bytes));
  }

  @ParameterizedTest
  @ValueSource(strings = {"nf4", "fp4:plain", "int8", "absmax8:32", "affine8", "bnb8-dynamic:256"})
  void everyStatisticIsNeededInItsTypeAndShape(String id) {
    // Shapes that no weight of another scheme explains either.
    List<TensorInfo> pieces = List.copyOf(TestCheckpoints.stored(id, SHAPE).tensors().values());
    for (TensorInfo piece : pieces) {
      boolean marks =
          piece.name().contains("quant_state")
              || piece.name().endsWith("SCB")
              || piece.name().endsWith("nibble.quant")
              || piece.name().endsWith("weight_scale");
      boolean optional =
          piece.name().endsWith("weight_format")
              || piece.name().endsWith("weight_zero_point")
              || (piece.name().equals(WEIGHT) && id.contains("ff"))
              || (piece.name().equals(WEIGHT) && id.startsWith("absmax"));
      if (!marks && !optional) {
        TestCheckpoint checkpoint = TestCheckpoints.stored(id, SHAPE);
        refused(checkpoint.remove(piece.name()), "test.safetensors", piece.name(), "no such");
      }
      if (!marks && !piece.name().equals(WEIGHT)) {
        TestCheckpoint shorter = TestCheckpoints.stored(id, SHAPE);
        shorter.put(piece.name(), piece.dtype(), Shape.of(0), MemorySegment.ofArray(new byte[0]));
        refused(shorter, piece.name());
        TestCheckpoint other = TestCheckpoints.stored(id, SHAPE);
        other.put(
            piece.name(),
            DType.BOOL,
            piece.shape(),
            MemorySegment.ofArray(new byte[(int) piece.shape().elements()]));
        refused(other, piece.name(), "BOOL");
      }
    }
  }

  @Test
  void codesMustHaveTheSizeOfTheShape() {
    TestCheckpoint checkpoint = TestCheckpoints.stored("nf4", SHAPE);
    checkpoint.put(WEIGHT, DType.U8, Shape.of(511, 1), MemorySegment.ofArray(new byte[511]));
    refused(checkpoint, WEIGHT, "expected U8 512x1, found U8 511x1");
    checkpoint.put(WEIGHT, DType.U8, Shape.of(1, 512), MemorySegment.ofArray(new byte[512]));
    refused(checkpoint, WEIGHT, "expected U8 512x1, found U8 1x512");
  }

  @Test
  void quantStateMustBeShortText() {
    TestCheckpoint checkpoint = TestCheckpoints.stored("nf4", SHAPE);
    String name = WEIGHT + ".quant_state.bitsandbytes__nf4";
    text(checkpoint, name, " ".repeat(5000));
    refused(checkpoint, name, "at most 4096");
    text(checkpoint, name, "[".repeat(4000));
    refused(checkpoint, name, "a JSON object");
    text(checkpoint, name, "");
    refused(checkpoint, name, "a JSON object");
    checkpoint.put(name, DType.F32, Shape.of(1), MemorySegment.ofArray(new byte[4]));
    refused(checkpoint, name, "a U8 vector");
  }

  @Test
  void oneQuantStateAWeight() {
    TestCheckpoint checkpoint = TestCheckpoints.stored("nf4", SHAPE);
    String name = WEIGHT + ".quant_state.bitsandbytes__";
    text(
        checkpoint,
        name + "fp4",
        new String(checkpoint.array(name + "nf4"), StandardCharsets.UTF_8)
            .replace("\"nf4\"", "\"fp4\""));
    refused(checkpoint, "quant_state");
    checkpoint.remove(name + "nf4");
    checkpoint.remove(name + "fp4");
    text(checkpoint, name + "int3", "{}");
    refused(checkpoint, "nf4 or fp4");
  }

  @Test
  void nothingElseStandsBelowAFourBitWeight() {
    TestCheckpoint checkpoint = TestCheckpoints.stored("nf4", SHAPE);
    text(checkpoint, WEIGHT + ".own", "x");
    refused(checkpoint, WEIGHT + ".own");
    TestCheckpoint own = TestCheckpoints.stored("bnb8-dynamic:256", SHAPE);
    text(own, WEIGHT + ".nibble.more", "x");
    refused(own, WEIGHT + ".nibble.more");
  }

  @Test
  void onlyRowMajorLlmInt8IsRead() {
    TestCheckpoint checkpoint = TestCheckpoints.stored("int8", SHAPE);
    TestCheckpoints.poke(checkpoint, "l.0.weight_format", 0, 2);
    refused(checkpoint, "l.0.weight_format", "other bytes");
  }

  @Test
  void llmInt8NeedsAnInt8Matrix() {
    TestCheckpoint checkpoint = TestCheckpoints.stored("int8", SHAPE);
    checkpoint.put(WEIGHT, DType.BF16, SHAPE, MemorySegment.ofArray(new byte[2048]));
    refused(checkpoint, WEIGHT, "I8 matrix", "BF16 16x64");
  }

  @Test
  void compressedGroupsMustDivideTheRow() {
    TestCheckpoint checkpoint = TestCheckpoints.stored("absmax8:32", SHAPE);
    checkpoint.put(
        "l.0.weight_scale", DType.F32, Shape.of(16, 3), MemorySegment.ofArray(new byte[192]));
    refused(checkpoint, "l.0.weight_scale", "equal groups", "16x3");
    checkpoint.put(
        "l.0.weight_scale", DType.F32, Shape.of(15, 2), MemorySegment.ofArray(new byte[120]));
    refused(checkpoint, "l.0.weight_scale");
    checkpoint.put(
        "l.0.weight_scale", DType.F32, Shape.of(16, 0), MemorySegment.ofArray(new byte[0]));
    refused(checkpoint, "l.0.weight_scale");
  }

  @Test
  void otherScalesOfCompressedTensorsAreUnsupported() throws JsonProcessingException {
    TestCheckpoint checkpoint = TestCheckpoints.stored("absmax8", SHAPE);
    checkpoint.put("l.0.weight_scale", DType.BF16, Shape.of(1), MemorySegment.ofArray(new byte[2]));
    var config =
        new ObjectMapper()
            .readTree("{\"quantization_config\": {\"quant_method\": \"compressed-tensors\"}}");
    UnsupportedException refused =
        assertThrows(
            UnsupportedException.class,
            () -> QuantStorages.read(checkpoint, Optional.of(config), Arena.ofAuto()));
    assertTrue(String.valueOf(refused.getMessage()).contains("BF16 1:"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"version\": 1|\"version\": 2|newer nibble",
        "\"version\": 1|\"version\": -1|a version",
        "\"version\": 1, |``|'version'",
        "bnb8-dynamic:256|bnb9|unknown scheme",
        "bnb8-dynamic:256|bnb8-dynamic:255|nibble.absmax",
        "float32|float8|dtype",
        "[16, 64]|[16, 65]|expected U8 16x65, found U8 16x64",
        "[16, 64]|[9223372036854775807, 9223372036854775807]|2^63",
        "[16, 64]|[16, 0]|one element",
        "\"shape\"|\"dtype\"|each field once",
        "\"shape\"|\"more\"|'shape'",
        "}|``|fault"
      })
  void nibbleDescriptionsAreChecked(String good, String bad, String message) {
    TestCheckpoint checkpoint = TestCheckpoints.stored("bnb8-dynamic:256", SHAPE);
    String name = WEIGHT + ".nibble.quant";
    String description = new String(checkpoint.array(name), StandardCharsets.UTF_8);
    assertTrue(description.contains(good), description);
    text(checkpoint, name, description.replace(good, bad));
    refused(checkpoint, WEIGHT, message);
  }
}
