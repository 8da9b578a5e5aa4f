package dev.nibble.formats.safetensors;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.LittleEndian;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// What a person reads when a file is refused, and headers that no golden has.
class SafetensorsHeaderTest {
  private static final Path FILE = Path.of("x.safetensors");

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          truncated_data      | tensor 'b' at byte 135: expected data up to byte 139 of the file, found a file of 136 bytes: the download is incomplete
          trailing_bytes      | at byte 139: expected the end of the file after the last tensor, found 3 more bytes
          offsets_hole_at_end | found 4 more bytes that belong to no tensor
          header_len_beyond_file | at byte 0: expected a header of 5,000 bytes, so a file of at least 5,008, found a file of 139 bytes: the download is incomplete
          header_len_max      | at byte 0: expected a safetensors file, with a header of at most 100,000,000 bytes, found a length of 18446744073709551615
          empty_file          | found an empty file: the download is incomplete
          seven_bytes         | found a file of 7 bytes: the download is incomplete
          gguf_file           | expected a safetensors file, found a GGUF file
          zip_file            | found a zip archive, as torch.save writes: save the weights as safetensors
          pickle_file         | found a Python pickle
          json_bom            | at byte 8: expected a JSON document, found a byte order mark
          json_two_docs       | at byte 63: expected the end of the JSON, found an object
          non_utf8            | at byte 10: expected UTF-8 text, found other bytes
          dtype_lowercase     | tensor 'a' at byte 22: expected a dtype among [BOOL, F4
          dup_tensor_name     | tensor 'a' at byte 63: expected one entry for a tensor, found a second one
          offsets_overlap     | tensor 'b' at byte 125: expected data that begins at data offset 12
          size_mismatch_small | tensor 'a' at byte 63: expected 16 bytes for F32 of shape 4, found 20 bytes
          f4_odd_count        | expected a whole number of bytes, found 3 elements of F4 with 4 bits each
          shape_overflow_product | expected a size that fits 64 bits, found U8 of shape 4294967296x4294967296x20
          shape_2_63          | expected a dimension below 2^63, found 9223372036854775808
          shape_minus_zero    | expected a dimension, found -0
          metadata_nested     | expected a string as value of the metadata key 'n', found an object
          dup_metadata_key    | expected one value for the metadata key 'a', found a second one
          missing_shape       | tensor 'a' at byte 49: expected shape, found an entry without it
          """)
  void saysWhatIsWrongAndWhere(String golden, String expected) {
    Path file = Fixtures.path("goldens/safetensors_malformed/" + golden + ".safetensors");
    var fault = assertThrows(FormatException.class, () -> SafetensorsCheckpoint.open(file));
    String message = String.valueOf(fault.getMessage());
    assertTrue(message.contains(expected), message);
  }

  @Test
  void offsetsCountBytesNotCharacters() {
    var fault = refusal("{\"é世\uD83D\uDE00\":{\"dtype\":7}}");
    assertEquals(OptionalLong.of(8 + "{'é世..':{'dtype':".length() + 5), fault.where().offset());
  }

  @Test
  void namesFromFilesAreMadePrintable() {
    var fault = refusal("{\"a\\u001b[31m\\nb" + "x".repeat(500) + "\":1}");
    String message = String.valueOf(fault.getMessage());
    assertTrue(message.startsWith("x.safetensors: tensor 'a?[31m?bxxx"), message);
    assertTrue(message.length() < 300, message);
  }

  @ParameterizedTest
  @CsvSource({
    "<!DOCTYPE html><html>, a web page",
    "version https://git-lfs.github.com/spec/v1, LFS"
  })
  void tellsWhatCameInsteadOfTheFile(String start, String expected) {
    byte[] bytes = (start + "\n".repeat(200)).getBytes(StandardCharsets.UTF_8);
    var fault =
        assertThrows(
            FormatException.class,
            () -> SafetensorsHeader.parse(FILE, 0, MemorySegment.ofArray(bytes)));
    assertTrue(String.valueOf(fault.getMessage()).contains(expected), fault.getMessage());
  }

  /// An honest header of 67,324,752 bytes has a length that spells zip's mark.
  @Test
  void lengthMaySpellAnotherFormatsMark() {
    try (var arena = Arena.ofConfined()) {
      long length = 0x04034b50;
      MemorySegment file = arena.allocate(8 + length);
      file.fill((byte) ' ').set(LittleEndian.LONG, 0, length);
      file.set(ValueLayout.JAVA_BYTE, 8, (byte) '{');
      file.set(ValueLayout.JAVA_BYTE, 7 + length, (byte) '}');
      assertEquals(8 + length, SafetensorsHeader.parse(FILE, 0, file).headerSize());
    }
  }

  @Test
  void jsonIsNeverTakenForAnotherEncoding() {
    for (var charset : List.of(StandardCharsets.UTF_16LE, StandardCharsets.UTF_16BE)) {
      byte[] json = "{\"__metadata__\":{}}".getBytes(charset);
      assertThrows(FormatException.class, () -> SafetensorsHeader.parse(FILE, 0, file(json)));
    }
  }

  @Test
  void nestingLimitIsSerdes() {
    // Two levels are the header and the entry; serde_json takes 127 in all.
    String entry = "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],\"x\":%s}}";
    String deepest = entry.formatted("[".repeat(125) + "]".repeat(125));
    assertEquals(1, parse(deepest).tensors().size());
    refusal(entry.formatted("[".repeat(126) + "]".repeat(126)));
  }

  @Test
  void positionalEntryIsExact() {
    assertEquals(1, parse("{\"a\":[\"U8\",[0],[0,0]]}").tensors().size());
    refusal("{\"a\":[\"U8\",[0],[0,0],1]}");
    refusal("{\"a\":[\"U8\",[0]]}");
    refusal("{\"a\":[[0],\"U8\",[0,0]]}");
  }

  @Test
  void ignoredFieldsAreStillChecked() {
    String entry = "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],\"x\":%s}}";
    assertEquals(1, parse(entry.formatted("{\"y\":[1.5,null,true]}")).tensors().size());
    refusal(entry.formatted("{\"y\":\"\\udc00\"}"));
    refusal(entry.formatted("{\"y\" 1}"));
  }

  @Test
  void metadataKeepsItsOrder() {
    var header = parse("{\"__metadata__\":{\"z\":\"1\",\"a\":\"2\",\"m\":\"3\"}}");
    assertEquals(List.of("z", "a", "m"), List.copyOf(header.metadata().keySet()));
  }

  /// Names whose Java hashes collide must not make parsing slow; they are kept in trees.
  @Test
  void manyTensorsWithCollidingNames() {
    var json = new StringBuilder("{");
    int count = 16_384;
    for (int i = 0; i < count; i++) {
      var name = new StringBuilder();
      for (int bit = 0; bit < 14; bit++) {
        name.append((i >> bit & 1) == 0 ? "Aa" : "BB");
      }
      json.append(i == 0 ? "\"" : ",\"").append(name);
      json.append("\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}");
    }
    assertEquals(count, parse(json.append('}').toString()).tensors().size());
  }

  private static SafetensorsHeader parse(String json) {
    return SafetensorsHeader.parse(FILE, 0, file(json.getBytes(StandardCharsets.UTF_8)));
  }

  private static FormatException refusal(String json) {
    return assertThrows(FormatException.class, () -> parse(json));
  }

  private static MemorySegment file(byte[] json) {
    byte[] bytes = new byte[8 + json.length];
    System.arraycopy(json, 0, bytes, 8, json.length);
    var file = MemorySegment.ofArray(bytes);
    file.set(LittleEndian.LONG, 0, json.length);
    return file;
  }
}
