package dev.nibble.formats.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.Shape;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.model.ModelFamily.Dialect;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.TreeMap;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Names, shapes and bytes of both dialects against what diffusers' loader makes of the originals:
/// `goldens/names`, made by `gen_names.py`.
class NameMapTest {
  static Stream<String> models() {
    return Stream.of(
        "z-image",
        "qwen-image",
        "flux",
        "sd15-unet",
        "sdxl-unet",
        "sd-vae",
        "sd-clip",
        "open-clip");
  }

  private static JsonNode golden(String id) throws IOException {
    return new ObjectMapper().readTree(Fixtures.path("goldens/names/" + id + ".json").toFile());
  }

  private static NameMap map(JsonNode golden) {
    return NameMap.ofClass(golden.get("class").textValue()).orElseThrow();
  }

  private static SequencedMap<String, Shape> shapes(JsonNode node) {
    SequencedMap<String, Shape> shapes = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> entry : node.properties()) {
      List<Long> dims = new ArrayList<>();
      entry.getValue().forEach(dim -> dims.add(dim.longValue()));
      shapes.put(entry.getKey(), new Shape(dims));
    }
    return shapes;
  }

  private static Map<String, Shape> shapes(Renaming renaming) {
    Map<String, Shape> shapes = new TreeMap<>();
    renaming.tensors().forEach(tensor -> shapes.put(tensor.name(), tensor.shape()));
    return shapes;
  }

  @ParameterizedTest
  @MethodSource("models")
  void namesAndShapesBothWays(String id) throws IOException {
    JsonNode golden = golden(id);
    SequencedMap<String, Shape> original = shapes(golden.get("original"));
    SequencedMap<String, Shape> library = shapes(golden.get("library"));
    NameMap map = map(golden);
    // One dialect's names below a prefix, or the same in both: then they count as the library's.
    boolean same = original.keySet().equals(library.keySet());
    assertEquals(same ? Dialect.LIBRARY : Dialect.ORIGINAL, map.dialect(original.keySet()));
    assertEquals(Dialect.LIBRARY, map.dialect(library.keySet()));
    Renaming toLibrary = map.rename(id, original, Dialect.LIBRARY);
    assertEquals(new TreeMap<>(library), shapes(toLibrary));
    assertEquals(List.of(), toLibrary.dropped());
    assertEquals(List.of(), toLibrary.foreign());
    assertEquals(new TreeMap<>(original), shapes(map.rename(id, library, Dialect.ORIGINAL)));
  }

  @ParameterizedTest
  @MethodSource("models")
  void bytesBothWays(String id) throws IOException {
    JsonNode golden = golden(id);
    NameMap map = map(golden);
    SequencedMap<String, Shape> original = shapes(golden.get("tiny").get("original"));
    Map<String, int[]> data = new LinkedHashMap<>();
    original.forEach((name, shape) -> data.put(name, data(name, shape)));
    Renaming toLibrary = map.rename(id, original, Dialect.LIBRARY);
    Map<String, String> hashes = new TreeMap<>();
    SequencedMap<String, Shape> library = new LinkedHashMap<>();
    Map<String, int[]> moved = new LinkedHashMap<>();
    for (RenamedTensor tensor : toLibrary.tensors()) {
      int[] elements = move(tensor, original, data);
      moved.put(tensor.name(), elements);
      library.put(tensor.name(), tensor.shape());
      hashes.put(tensor.name(), sha(elements));
    }
    Map<String, String> expected = new TreeMap<>();
    golden
        .get("tiny")
        .get("library")
        .properties()
        .forEach(entry -> expected.put(entry.getKey(), entry.getValue().textValue()));
    assertEquals(expected, hashes);
    for (RenamedTensor tensor : map.rename(id, library, Dialect.ORIGINAL).tensors()) {
      int[] first = Optional.ofNullable(data.get(tensor.name())).orElseThrow();
      assertEquals(sha(first), sha(move(tensor, library, moved)), tensor.name());
    }
  }

  /// As the generator fills a tensor.
  private static int[] data(String name, Shape shape) {
    CRC32 crc = new CRC32();
    crc.update(name.getBytes(StandardCharsets.UTF_8));
    int[] data = new int[(int) shape.elements()];
    for (int i = 0; i < data.length; i++) {
      data[i] = (int) crc.getValue() + i;
    }
    return data;
  }

  private static int[] move(
      RenamedTensor tensor, Map<String, Shape> shapes, Map<String, int[]> data) {
    int[] target = new int[(int) tensor.shape().elements()];
    int done = 0;
    for (RenamedTensor.Piece piece : tensor.pieces()) {
      int[] source = Optional.ofNullable(data.get(piece.source())).orElseThrow();
      Shape shape = Optional.ofNullable(shapes.get(piece.source())).orElseThrow();
      int row = source.length / (int) shape.dim(0);
      int count = (int) piece.rows() * row;
      System.arraycopy(source, (int) piece.firstRow() * row, target, done, count);
      done += count;
    }
    assertEquals(target.length, done, tensor.name());
    return tensor.transposed() ? transpose(target, tensor.shape()) : target;
  }

  private static int[] transpose(int[] stored, Shape shape) {
    int rows = (int) shape.dim(0);
    int columns = (int) shape.dim(1);
    int[] target = new int[stored.length];
    for (int i = 0; i < target.length; i++) {
      target[i] = stored[i % columns * rows + i / columns];
    }
    return target;
  }

  private static String sha(int[] elements) {
    ByteBuffer bytes =
        ByteBuffer.allocate(elements.length * Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asIntBuffer().put(elements);
    try {
      byte[] hash = MessageDigest.getInstance("SHA-256").digest(bytes.array());
      return HexFormat.of().formatHex(hash).substring(0, 16);
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void aBundleGivesTheModelThatTheClassNames() throws IOException {
    SequencedMap<String, Shape> bundle = new LinkedHashMap<>();
    for (String id : List.of("sdxl-unet", "sd-vae", "open-clip")) {
      bundle.putAll(shapes(golden(id).get("original")));
    }
    bundle.put("conditioner.embedders.1.model.logit_scale", Shape.of());
    for (String id : List.of("sdxl-unet", "sd-vae", "open-clip")) {
      JsonNode golden = golden(id);
      Renaming renaming = map(golden).rename(id, bundle, Dialect.LIBRARY);
      assertEquals(new TreeMap<>(shapes(golden.get("library"))), shapes(renaming));
      assertEquals(id.equals("open-clip") ? 1 : 0, renaming.dropped().size());
      assertEquals(
          bundle.size(),
          golden.get("original").size() + renaming.dropped().size() + renaming.foreign().size());
    }
  }

  @Test
  void aPrefixMayStandBeforeOriginalNames() throws IOException {
    for (String id : List.of("z-image", "flux", "qwen-image")) {
      JsonNode golden = golden(id);
      for (String prefix : List.of("model.diffusion_model.", "diffusion_model.")) {
        SequencedMap<String, Shape> prefixed = new LinkedHashMap<>();
        shapes(golden.get("original")).forEach((name, shape) -> prefixed.put(prefix + name, shape));
        assertEquals(Dialect.ORIGINAL, map(golden).dialect(prefixed.keySet()));
        assertEquals(
            new TreeMap<>(shapes(golden.get("library"))),
            shapes(map(golden).rename(id, prefixed, Dialect.LIBRARY)));
      }
    }
  }

  @Test
  void whatATableDoesNotKnowIsRefused() throws IOException {
    JsonNode golden = golden("z-image");
    NameMap map = map(golden);
    SequencedMap<String, Shape> library = shapes(golden.get("library"));
    library.put("layers.0.new_gate.weight", Shape.of(4));
    assertTrue(refusal(map, library, Dialect.ORIGINAL).contains("'layers.0.new_gate.weight'"));
    SequencedMap<String, Shape> unequal = shapes(golden.get("library"));
    unequal.put("layers.0.attention.to_k.weight", Shape.of(1280, 3840));
    assertTrue(refusal(map, unequal, Dialect.ORIGINAL).contains("to_k.weight' of shape 1280x3840"));
    SequencedMap<String, Shape> missing = shapes(golden.get("library"));
    missing.remove("layers.0.attention.to_k.weight");
    assertTrue(refusal(map, missing, Dialect.ORIGINAL).contains("to_k.weight', which is missing"));
    SequencedMap<String, Shape> odd = shapes(golden.get("original"));
    odd.put("layers.0.attention.qkv.weight", Shape.of(11521, 3840));
    assertTrue(refusal(map, odd, Dialect.LIBRARY).contains("qkv.weight' of shape 11521x3840"));
  }

  @Test
  void anotherDepthThanTheTablesIsRefused() throws IOException {
    SequencedMap<String, Shape> shallow = new LinkedHashMap<>();
    shapes(golden("sd-vae").get("library"))
        .forEach((name, shape) -> {
          if (!name.contains("_blocks.2") && !name.contains("_blocks.3")) {
            shallow.put(name, shape);
          }
        });
    String refusal = refusal(map(golden("sd-vae")), shallow, Dialect.ORIGINAL);
    assertTrue(refusal.contains("up_blocks.3"), refusal);
  }

  @Test
  void onlyKnownClassesHaveATable() {
    assertTrue(NameMap.ofClass("PixArtTransformer2DModel").isEmpty());
    assertTrue(NameMap.of(ModelFamilies.byId("sd3").orElseThrow()).isEmpty());
    assertEquals("", NameMap.of(ModelFamilies.byId("flux").orElseThrow()).orElseThrow().prefix());
    assertEquals(
        "model.diffusion_model.",
        NameMap.of(ModelFamilies.byId("sd-unet").orElseThrow()).orElseThrow().prefix());
  }

  private static String refusal(NameMap map, SequencedMap<String, Shape> names, Dialect to) {
    return String.valueOf(
        assertThrows(UnsupportedException.class, () -> map.rename("x", names, to)).getMessage());
  }
}
