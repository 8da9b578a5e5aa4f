package dev.nibble.formats.safetensors;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.UnsupportedException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class SafetensorsLayoutTest {
  @TempDir Path folder;

  /// Files that the official library wrote.
  static List<Path> officialFiles() throws IOException {
    List<Path> all = new ArrayList<>();
    for (String place : List.of("goldens/safetensors", "goldens/bnb", "goldens/fp8", "models")) {
      try (Stream<Path> files = Files.walk(Fixtures.path(place))) {
        files.filter(file -> file.toString().endsWith(".safetensors")).sorted().forEach(all::add);
      }
    }
    assertTrue(all.size() > 40, "found only " + all.size());
    return all;
  }

  @ParameterizedTest
  @MethodSource("officialFiles")
  void plansTheOfficialLibrarysBytes(Path official) throws IOException {
    try (var source = SafetensorsCheckpoint.open(official)) {
      var layout = shuffledPlan(source);
      assertEquals(Files.size(official), layout.maxFileSize());
      assertEquals(source.tensors(), layout.tensors());
      var header = source.bytes(source.files().getFirst()).asSlice(0, layout.headerSize());
      assertEquals(-1, header.mismatch(MemorySegment.ofArray(layout.header(List.of()))));
    }
  }

  @Test
  void writesTheOfficialLibrarysBytes() throws IOException {
    Path official = Fixtures.path("goldens/safetensors/every_dtype.safetensors");
    Path copy = folder.resolve("copy.safetensors");
    try (var source = SafetensorsCheckpoint.open(official);
        var writer = SafetensorsWriter.create(copy, shuffledPlan(source))) {
      for (TensorInfo tensor : source.tensors().values()) {
        writer.write(tensor.name(), 0, source.data(tensor));
      }
      writer.finish();
    }
    assertEquals(-1, Files.mismatch(official, copy));
  }

  private static SafetensorsLayout shuffledPlan(SafetensorsCheckpoint source) {
    List<TensorSpec> specs = new ArrayList<>();
    for (TensorInfo tensor : source.tensors().values()) {
      specs.add(new TensorSpec(tensor.name(), tensor.dtype(), tensor.shape()));
    }
    Collections.shuffle(specs, new Random(7));
    return SafetensorsLayout.plan(specs, List.of(), source.metadata());
  }

  @Test
  void namesSortByUtf8Bytes() {
    String beyondBmp = "\uD83D\uDE00";
    String privateUse = "\uE000";
    var layout = plan(spec(beyondBmp, 1), spec(privateUse, 1), spec("b", 1), spec("a", 1));
    assertEquals(List.of("a", "b", privateUse, beyondBmp), List.copyOf(layout.tensors().keySet()));
  }

  @Test
  void escapesAsSerdeJson() {
    String name = "q\" b\\ \b\f\n\r\t\u0001\u001f\u007f/é";
    String json =
        new String(plan(spec(name, 1)).header(List.of()), StandardCharsets.UTF_8).substring(8);
    assertEquals(
        "{\"q\\\" b\\\\ \\b\\f\\n\\r\\t\\u0001\\u001f\u007f/é\":"
            + "{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
        json.strip());
  }

  @Test
  void headerReservesRoomForTheLongestLateTensors() {
    var late = List.of(new LateTensor("b", 1000), new LateTensor("a", 10));
    var layout = SafetensorsLayout.plan(List.of(spec("w", 8)), late, Map.of());
    assertEquals(List.of("a", "b"), layout.late().stream().map(LateTensor::name).toList());
    assertEquals(0, layout.headerSize() % 8);
    assertEquals(layout.headerSize() + 8 + 1010, layout.maxFileSize());
    String longest = new String(layout.header(List.of(10, 1000)), StandardCharsets.UTF_8);
    assertTrue(longest.strip().length() > layout.headerSize() - 8, longest);
    String shortest = new String(layout.header(List.of(0, 1)), StandardCharsets.UTF_8);
    assertEquals(longest.length(), shortest.length());
    assertTrue(
        shortest.contains("\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[8,9]}"),
        shortest);
  }

  @Test
  void refusesBadNames() {
    assertThrows(IllegalArgumentException.class, () -> plan(spec("a", 1), spec("a", 2)));
    assertThrows(IllegalArgumentException.class, () -> plan(spec("__metadata__", 1)));
    assertThrows(IllegalArgumentException.class, () -> plan(spec("\uD800", 1)));
    var late = List.of(new LateTensor("a", 1));
    assertThrows(
        IllegalArgumentException.class,
        () -> SafetensorsLayout.plan(List.of(spec("a", 1)), late, Map.of()));
  }

  @Test
  void refusesSizesThatOverflow() {
    assertThrows(ArithmeticException.class, () -> plan(spec("a", Long.MAX_VALUE)));
    TensorSpec[] sum =
        IntStream.range(0, 9)
            .mapToObj(i -> spec("t" + i, Long.MAX_VALUE / 8))
            .toArray(TensorSpec[]::new);
    assertThrows(ArithmeticException.class, () -> plan(sum));
    var halfByte = new TensorSpec("a", DType.F4, Shape.of(3));
    assertThrows(ArithmeticException.class, () -> plan(halfByte));
  }

  @Test
  void refusesHeaderOverTheLimit() {
    String huge = "x".repeat(100_000_001);
    var refusal =
        assertThrows(
            UnsupportedException.class,
            () -> SafetensorsLayout.plan(List.of(), List.of(), Map.of("k", huge)));
    assertTrue(String.valueOf(refusal.getMessage()).contains("100,000,000"));
  }

  @Test
  void emptyFileIsLegal() throws IOException {
    Path file = folder.resolve("empty.safetensors");
    try (var writer = SafetensorsWriter.create(file, plan())) {
      writer.finish();
    }
    assertEquals("{}      ", Files.readString(file).substring(8));
    try (var checkpoint = SafetensorsCheckpoint.open(file)) {
      assertTrue(checkpoint.tensors().isEmpty());
    }
  }

  private static TensorSpec spec(String name, long length) {
    return new TensorSpec(name, DType.U8, Shape.of(length));
  }

  private static SafetensorsLayout plan(TensorSpec... specs) {
    return SafetensorsLayout.plan(List.of(specs), List.of(), Map.of());
  }
}
