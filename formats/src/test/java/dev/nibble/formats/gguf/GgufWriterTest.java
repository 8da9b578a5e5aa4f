package dev.nibble.formats.gguf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.quant.ggml.GgmlType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GgufWriterTest {
  @TempDir Path folder;

  /// The same content gives the bytes that gguf-py wrote, and ggml's control files have.
  @ParameterizedTest
  @ValueSource(
      strings = {
        "gguf/all_types_flux.gguf",
        "gguf/orig_shape_lumina2.gguf",
        "gguf/no_kv_sdcpp_style.gguf",
        "gguf_malformed/ok_minimal.gguf",
        "gguf_malformed/ok_no_tensors.gguf",
        "gguf_malformed/dims_0.gguf"
      })
  void writesThePeersBytes(String golden) throws IOException {
    Path original = Fixtures.path("goldens/" + golden);
    Path copy = folder.resolve("copy.gguf");
    try (var source = GgufCheckpoint.open(original)) {
      List<GgufLayout.Spec> specs = new ArrayList<>();
      source
          .header()
          .tensors()
          .forEach((name, tensor) ->
              specs.add(new GgufLayout.Spec(name, tensor.type(), tensor.shape())));
      GgufLayout layout = GgufLayout.plan(specs, source.header().metadata());
      try (var writer = GgufWriter.create(copy, layout, copy)) {
        // Backwards and in pieces: places are known.
        for (TensorInfo tensor : List.copyOf(source.tensors().values()).reversed()) {
          long half = tensor.byteSize() / 2;
          MemorySegment data = source.data(tensor);
          writer.write(tensor.name(), half, data.asSlice(half));
          writer.write(tensor.name(), 0, data.asSlice(0, half));
        }
        writer.finish();
      }
      assertEquals(layout.fileSize(), Files.size(copy));
    }
    assertArrayEquals(Files.readAllBytes(original), Files.readAllBytes(copy));
  }

  @Test
  void noticesWhatIsMissing() throws IOException {
    var layout =
        GgufLayout.plan(List.of(new GgufLayout.Spec("a", GgmlType.F32, Shape.of(4))), Map.of());
    Path path = folder.resolve("missing.gguf");
    try (var writer = GgufWriter.create(path, layout, path)) {
      writer.write("a", 0, MemorySegment.ofArray(new byte[12]));
      var missing = assertThrows(IllegalStateException.class, writer::finish);
      assertEquals("tensor 'a' has 16 bytes, 12 were written", missing.getMessage());
      assertThrows(
          IllegalArgumentException.class,
          () -> writer.write("a", 12, MemorySegment.ofArray(new byte[8])));
    }
  }

  @Test
  void refusesWhatNoToolReads() {
    var deep = new GgufLayout.Spec("patch", GgmlType.F16, Shape.of(1, 1, 2, 2, 2));
    var refusal =
        assertThrows(UnsupportedException.class, () -> GgufLayout.plan(List.of(deep), Map.of()));
    assertTrue(String.valueOf(refusal.getMessage()).contains("5 dimensions"));
    var longName = new GgufLayout.Spec("n".repeat(128), GgmlType.F16, Shape.of(2));
    assertThrows(UnsupportedException.class, () -> GgufLayout.plan(List.of(longName), Map.of()));
    var ragged = new GgufLayout.Spec("w", GgmlType.Q4_0, Shape.of(2, 48));
    assertThrows(IllegalArgumentException.class, () -> GgufLayout.plan(List.of(ragged), Map.of()));
  }
}
