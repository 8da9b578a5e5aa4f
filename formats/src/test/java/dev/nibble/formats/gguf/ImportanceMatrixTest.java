package dev.nibble.formats.gguf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.ggml.GgmlType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ImportanceMatrixTest {
  @TempDir Path folder;

  private static byte[] legacy(String name, int calls, float... values) {
    byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
    ByteBuffer out =
        ByteBuffer.allocate(20 + bytes.length + 4 * values.length)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putInt(1)
            .putInt(bytes.length)
            .put(bytes)
            .putInt(calls)
            .putInt(values.length);
    for (float value : values) {
      out.putFloat(value);
    }
    // What llama.cpp adds at the end: the number of the last call.
    return out.putInt(calls).array();
  }

  private Path write(byte[] bytes) throws IOException {
    return Files.write(Files.createTempFile(folder, "imatrix", ".dat"), bytes);
  }

  private Path gguf(float[] sums, float[] counts) throws IOException {
    return gguf(
        Map.of(
            "a.weight.in_sum2", MemorySegment.ofArray(sums),
            "a.weight.counts", MemorySegment.ofArray(counts)),
        GgmlType.F32);
  }

  private Path gguf(Map<String, MemorySegment> tensors, GgmlType type) throws IOException {
    Path path = folder.resolve("imatrix.gguf");
    var layout =
        GgufLayout.plan(
            tensors.entrySet().stream()
                .map(tensor ->
                    new GgufLayout.Spec(
                        tensor.getKey(),
                        type,
                        Shape.of(1, tensor.getValue().byteSize() / type.blockBytes())))
                .toList(),
            Map.of("general.type", GgufValue.text("imatrix")));
    try (var writer = GgufWriter.create(path, layout, path)) {
      for (var tensor : tensors.entrySet()) {
        writer.write(tensor.getKey(), 0, tensor.getValue());
      }
      writer.finish();
    }
    return path;
  }

  private static float[] columns(ImportanceMatrix matrix, String name, long columns) {
    return matrix.of(name, Shape.of(3, columns)).orElseThrow();
  }

  @Test
  void readsTheLegacyForm() throws IOException {
    ImportanceMatrix matrix = ImportanceMatrix.read(write(legacy("a.weight", 4, 8, 0, 2)));
    assertEquals(List.of("a.weight"), matrix.names());
    assertArrayEquals(new float[] {2, 0, 0.5f}, columns(matrix, "a.weight", 3));
  }

  @Test
  void readsTheGgufForm() throws IOException {
    ImportanceMatrix matrix = ImportanceMatrix.read(gguf(new float[] {8, 0, 2}, new float[] {4}));
    assertArrayEquals(new float[] {2, 0, 0.5f}, columns(matrix, "a.weight", 3));
  }

  /// What llama.cpp's own tool writes, in both of its forms, says the same.
  @ParameterizedTest
  @ValueSource(strings = {"imatrix.gguf", "imatrix.dat"})
  void readsWhatTheToolWrites(String file) throws IOException {
    ImportanceMatrix matrix = ImportanceMatrix.read(Fixtures.path("goldens/imatrix/" + file));
    String query = "blk.0.attn_q.weight";
    String experts = "blk.0.ffn_down_exps.weight";
    assertEquals(List.of(query, experts), matrix.names());
    assertArrayEquals(new float[] {1, 0, 0.5f, 3f / 1536}, columns(matrix, query, 4));
    // Each expert by its own count; the one that never ran counts as evenly important.
    assertArrayEquals(new float[] {2, 4, 1, 1, 1, 3}, columns(matrix, experts, 6));
    assertEquals(Optional.of("wiki.train.txt"), matrix.origin().dataset());
    assertEquals(OptionalInt.of(3), matrix.origin().chunks());
  }

  /// Older files end with the entries.
  @Test
  void originIsOptional() throws IOException {
    byte[] whole = legacy("a.weight", 4, 8, 0, 2);
    ImportanceMatrix bare =
        ImportanceMatrix.read(write(Arrays.copyOf(whole, whole.length - Integer.BYTES)));
    assertEquals(Optional.empty(), bare.origin().dataset());
    assertEquals(OptionalInt.empty(), bare.origin().chunks());
    assertEquals(OptionalInt.of(4), ImportanceMatrix.read(write(whole)).origin().chunks());
    ImportanceMatrix gguf = ImportanceMatrix.read(gguf(new float[] {1}, new float[] {1}));
    assertEquals(OptionalInt.empty(), gguf.origin().chunks());
  }

  @Test
  void sumsAndCountsBelongTogether() throws IOException {
    MemorySegment two = MemorySegment.ofArray(new float[] {1, 2});
    assertRefused(gguf(Map.of("a.weight.in_sum2", two), GgmlType.F32), "a.weight.counts");
    assertRefused(gguf(Map.of("a.weight.counts", two), GgmlType.F32), "a.weight.in_sum2");
    MemorySegment shorts = MemorySegment.ofArray(new short[] {1, 2});
    assertRefused(
        gguf(Map.of("a.weight.in_sum2", shorts, "a.weight.counts", shorts), GgmlType.F16), "F32");
    assertRefused(gguf(new float[] {1, 2, 3}, new float[] {1, 1}), "3 sums and 2 counts");
  }

  private static void assertRefused(Path path, String part) {
    var fault = assertThrows(FormatException.class, () -> ImportanceMatrix.read(path));
    assertTrue(String.valueOf(fault.getMessage()).contains(part), fault.getMessage());
  }

  @Test
  void knowsWeightsWithAndWithoutABundlesPrefix() throws IOException {
    ImportanceMatrix bare = ImportanceMatrix.read(write(legacy("a.weight", 1, 1, 2)));
    assertTrue(bare.of("model.diffusion_model.a.weight", Shape.of(1, 2)).isPresent());
    ImportanceMatrix bundle =
        ImportanceMatrix.read(write(legacy("model.diffusion_model.a.weight", 1, 1, 2)));
    assertTrue(bundle.of("a.weight", Shape.of(1, 2)).isPresent());
    assertEquals(Optional.empty(), bundle.of("b.weight", Shape.of(1, 2)));
    assertEquals(Optional.empty(), bundle.of("a.weight", Shape.of(2, 2, 3, 3)));
  }

  /// An input that was always zero says nothing about the columns.
  @Test
  void allZeroIsEvenlyImportant() throws IOException {
    ImportanceMatrix matrix = ImportanceMatrix.read(write(legacy("a.weight", 1, 0, 0)));
    assertArrayEquals(new float[] {1, 1}, columns(matrix, "a.weight", 2));
    ImportanceMatrix unused = ImportanceMatrix.read(gguf(new float[] {0, 0}, new float[] {0}));
    assertArrayEquals(new float[] {1, 1}, columns(unused, "a.weight", 2));
  }

  @Test
  void refusesAnotherModelsMatrix() throws IOException {
    ImportanceMatrix matrix = ImportanceMatrix.read(write(legacy("a.weight", 1, 1, 2)));
    var fault = assertThrows(FormatException.class, () -> matrix.of("a.weight", Shape.of(1, 4)));
    assertTrue(String.valueOf(fault.getMessage()).contains("another model's"));
  }

  @Test
  void refusesNumbersThatAreNoMeanSquares() throws IOException {
    for (float bad : new float[] {-1, Float.NaN, Float.POSITIVE_INFINITY}) {
      Path path = write(legacy("a.weight", 1, 1, bad));
      assertThrows(FormatException.class, () -> ImportanceMatrix.read(path));
    }
  }

  @Test
  void refusesWhatIsNoMatrix() throws IOException {
    Path empty = write(new byte[0]);
    assertThrows(FormatException.class, () -> ImportanceMatrix.read(empty));
    Path text = write("{\"not\": \"a matrix\"}".getBytes(StandardCharsets.UTF_8));
    assertThrows(FormatException.class, () -> ImportanceMatrix.read(text));
  }

  /// Damaged files are refused in a line, or read.
  @Test
  void survivesDamage() throws IOException {
    byte[] legacy = legacy("blocks.0.attn.to_q.weight", 3, 1, 2, 3, 4);
    byte[] gguf = Files.readAllBytes(gguf(new float[] {1, 2, 3, 4}, new float[] {2}));
    int refused = 0;
    for (long seed = 0; seed < 600; seed++) {
      Random random = new Random(seed);
      byte[] bytes = (seed % 2 == 0 ? legacy : gguf).clone();
      for (int i = 0; i <= random.nextInt(3); i++) {
        bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
      }
      if (random.nextBoolean()) {
        bytes = Arrays.copyOf(bytes, random.nextInt(bytes.length + 1));
      }
      Path path = folder.resolve("damaged");
      Files.write(path, bytes);
      try {
        ImportanceMatrix.read(path).names();
      } catch (NibbleException e) {
        refused++;
        assertEquals(1, String.valueOf(e.getMessage()).lines().count(), "seed " + seed);
      }
    }
    assertTrue(refused > 200, "damage mostly shows, but only %d showed".formatted(refused));
  }
}
