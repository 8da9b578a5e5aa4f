package dev.nibble.formats.quant.ggml;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.TestCheckpoint;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// The codecs against ggml's own C: equal bytes in both directions.
final class GgmlCodecsTest {
  private static final int COLUMNS = 512;
  private static final TestCheckpoint GOLDEN =
      TestCheckpoint.golden("goldens/ggml_blocks/ggml_blocks.safetensors");
  private static final float[] X = GOLDEN.floats("x");
  private static final JsonNode MANIFEST = manifest();

  private static JsonNode manifest() {
    try {
      return new ObjectMapper()
          .readTree(Files.readString(Fixtures.path("goldens/ggml_blocks/ggml_blocks.json")));
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  static Stream<GgmlType> quantized() {
    return Arrays.stream(GgmlType.values()).filter(GgmlType::isQuantized);
  }

  private static void assertEncodes(GgmlType type, String kind, Optional<float[]> importance) {
    GgmlCodec codec = GgmlCodecs.of(type);
    byte[] expected = GOLDEN.array(type.name() + "." + kind);
    int rowBytes = (int) type.byteSize(COLUMNS);
    assertEquals(expected.length, X.length / COLUMNS * rowBytes);
    for (int row = 0; row < X.length / COLUMNS; row++) {
      // Numbers and blocks lie somewhere inside larger arrays.
      float[] x = new float[COLUMNS + 11];
      System.arraycopy(X, row * COLUMNS, x, 7, COLUMNS);
      MemorySegment blocks = MemorySegment.ofArray(new byte[rowBytes + 8]);
      codec.encode(x, 7, COLUMNS, importance, blocks, 5);
      assertBlocks(
          type,
          Arrays.copyOfRange(expected, row * rowBytes, (row + 1) * rowBytes),
          blocks.asSlice(5, rowBytes).toArray(ValueLayout.JAVA_BYTE),
          MANIFEST.get("rows").get(row).asText());
      assertArrayEquals(
          new byte[8],
          new byte[] {
            blocks.get(ValueLayout.JAVA_BYTE, 0),
            blocks.get(ValueLayout.JAVA_BYTE, 1),
            blocks.get(ValueLayout.JAVA_BYTE, 2),
            blocks.get(ValueLayout.JAVA_BYTE, 3),
            blocks.get(ValueLayout.JAVA_BYTE, 4),
            blocks.get(ValueLayout.JAVA_BYTE, rowBytes + 5),
            blocks.get(ValueLayout.JAVA_BYTE, rowBytes + 6),
            blocks.get(ValueLayout.JAVA_BYTE, rowBytes + 7)
          });
    }
  }

  private static void assertBlocks(GgmlType type, byte[] expected, byte[] actual, String row) {
    int size = type.blockBytes();
    for (int at = 0; at < expected.length; at += size) {
      assertArrayEquals(
          Arrays.copyOfRange(expected, at, at + size),
          Arrays.copyOfRange(actual, at, at + size),
          "%s, row '%s', block %d".formatted(type, row, at / size));
    }
  }

  @ParameterizedTest
  @MethodSource("quantized")
  void encodesAsGgml(GgmlType type) {
    assertEncodes(type, "plain", Optional.empty());
  }

  @ParameterizedTest
  @MethodSource("quantized")
  void encodesAsGgmlWithImportance(GgmlType type) {
    assertEncodes(type, "weighted", Optional.of(GOLDEN.floats("importance")));
  }

  /// Many rows in one call, as the converter passes them without importance.
  @ParameterizedTest
  @MethodSource("quantized")
  void encodesManyRowsAtOnce(GgmlType type) {
    byte[] expected = GOLDEN.array(type.name() + ".plain");
    MemorySegment blocks = MemorySegment.ofArray(new byte[expected.length]);
    GgmlCodecs.of(type).encode(X, 0, X.length, Optional.empty(), blocks, 0);
    assertBlocks(type, expected, blocks.toArray(ValueLayout.JAVA_BYTE), "any");
  }

  @ParameterizedTest
  @MethodSource("quantized")
  void decodesAsGgml(GgmlType type) {
    GgmlCodec codec = GgmlCodecs.of(type);
    for (String kind : new String[] {"plain", "weighted", "random"}) {
      MemorySegment golden = GOLDEN.data(type.name() + "." + kind);
      MemorySegment blocks = MemorySegment.ofArray(new byte[(int) golden.byteSize() + 3]);
      blocks.asSlice(3).copyFrom(golden);
      int count = (int) (golden.byteSize() / type.blockBytes()) * type.blockSize();
      float[] x = new float[count + 5];
      codec.decode(blocks, 3, x, 5, count);
      assertEquals(
          MANIFEST.get("decoded_sha256").get(type.name()).get(kind).asText(),
          sha(Arrays.copyOfRange(x, 5, count + 5)),
          type + " " + kind);
      assertArrayEquals(new float[5], Arrays.copyOf(x, 5));
    }
  }

  private static String sha(float[] x) {
    MemorySegment bytes = MemorySegment.ofArray(new byte[x.length * Float.BYTES]);
    for (int i = 0; i < x.length; i++) {
      bytes.set(LittleEndian.INT, i * 4L, Float.floatToIntBits(x[i]));
    }
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      return HexFormat.of().formatHex(digest.digest(bytes.toArray(ValueLayout.JAVA_BYTE)));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void plainTypesHaveNoCodec() {
    assertThrows(IllegalArgumentException.class, () -> GgmlCodecs.of(GgmlType.F16));
  }
}
