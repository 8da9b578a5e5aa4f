package dev.nibble.runtime.weights;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.DType;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.gguf.GgufLayout;
import dev.nibble.formats.gguf.GgufWriter;
import dev.nibble.formats.model.ModelFamilies;
import dev.nibble.formats.model.ModelFamily.Dialect;
import dev.nibble.formats.model.NameMap;
import dev.nibble.formats.model.RenamedTensor;
import dev.nibble.formats.quant.AbsmaxInt8;
import dev.nibble.formats.quant.GgmlBlock;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.formats.quant.ggml.GgmlType;
import dev.nibble.formats.quant.storage.LogicalTensor;
import dev.nibble.formats.quant.storage.NibbleStorage;
import dev.nibble.runtime.tensor.WeightSource;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A transformer in a GGUF file with the original names, whose attention is fused.
class StoredWeightsTest {
  private static final Path MODEL = Fixtures.path("models/emoji-zimage/transformer");
  private static final GgmlBlock Q8 = new GgmlBlock(GgmlType.Q8_0);

  @TempDir Path folder;

  /// What the file shall hold under one name.
  private record Content(GgufLayout.Spec spec, MemorySegment bytes) {}

  private Path write() throws IOException {
    Path path = folder.resolve("original.gguf");
    try (Checkpoint source = Checkpoints.open(MODEL);
        Arena arena = Arena.ofConfined()) {
      SequencedMap<String, Shape> shapes = new LinkedHashMap<>();
      source.tensors().forEach((name, tensor) -> shapes.put(name, tensor.shape()));
      NameMap names = NameMap.of(ModelFamilies.byId("z-image").orElseThrow()).orElseThrow();
      List<Content> contents = new ArrayList<>();
      for (RenamedTensor tensor : names.rename("test", shapes, Dialect.ORIGINAL).tensors()) {
        contents.add(content(source, tensor, arena));
      }
      GgufLayout layout = GgufLayout.plan(contents.stream().map(Content::spec).toList(), Map.of());
      try (GgufWriter writer = GgufWriter.create(path, layout, path)) {
        for (Content content : contents) {
          writer.write(content.spec().name(), 0, content.bytes());
        }
        writer.finish();
      }
    }
    return path;
  }

  private static Content content(Checkpoint source, RenamedTensor tensor, Arena arena) {
    Shape shape = tensor.shape();
    MemorySegment joined = arena.allocate(DType.BF16.byteSize(shape.elements()));
    long at = 0;
    for (RenamedTensor.Piece piece : tensor.pieces()) {
      MemorySegment part = bytes(source, piece.source());
      joined.asSlice(at, part.byteSize()).copyFrom(part);
      at += part.byteSize();
    }
    if (shape.rank() != 2 || shape.last() % 32 != 0) {
      return new Content(new GgufLayout.Spec(tensor.name(), GgmlType.BF16, shape), joined);
    }
    MemorySegment codes = arena.allocate(Q8.codeBytes(shape.elements()));
    Q8.encoder(shape, DType.BF16, arena).encode(0, shape.elements(), joined, codes);
    return new Content(new GgufLayout.Spec(tensor.name(), GgmlType.Q8_0, shape), codes);
  }

  private static MemorySegment bytes(Checkpoint source, String name) {
    TensorInfo info = Objects.requireNonNull(source.tensors().get(name), name);
    assertEquals(DType.BF16, info.dtype());
    return source.data(info);
  }

  /// What blocks made of our tensor alone decode to: rows share no block.
  private static float[] expected(Checkpoint source, TensorInfo info) {
    try (Arena arena = Arena.ofConfined()) {
      Shape shape = info.shape();
      float[] values = new float[(int) shape.elements()];
      MemorySegment target = MemorySegment.ofArray(values);
      MemorySegment codes = arena.allocate(Q8.codeBytes(shape.elements()));
      Q8.encoder(shape, DType.BF16, arena).encode(0, shape.elements(), source.data(info), codes);
      QuantizedTensor weight =
          new QuantizedTensor(Q8, shape, DType.BF16, Map.of(Part.CODES, codes));
      Q8.decoder(weight).decode(0, values.length, target, DType.F32);
      return values;
    }
  }

  @Test
  void givesTheRowsOfFusedWeightsUnderOurNames() throws IOException {
    try (OpenModel model = OpenModel.open(write());
        Checkpoint source = Checkpoints.open(MODEL)) {
      StoredWeights stored = new StoredWeights(MODEL, model);
      int rows = 0;
      for (TensorInfo info : source.tensors().values()) {
        var found = stored.find(info.name()).orElseThrow();
        assertEquals(info.shape(), found.shape(), info.name());
        if (info.shape().rank() == 2 && info.shape().last() % 32 == 0) {
          assertArrayEquals(expected(source, info), stored.floats(found), info.name());
          WeightSource weight = stored.source(found);
          assertEquals(info.shape(), weight.shape());
          rows += info.name().contains(".to_k.") ? 1 : 0;
        } else {
          assertEquals(info.shape().elements(), stored.floats(found).length);
        }
      }
      assertTrue(rows > 5, "the test means rows of fused weights");
      assertTrue(stored.find("layers.0.attention.qkv.weight").isEmpty());
    }
  }

  /// Names of the library are taken as they are.
  @Test
  void leavesOurNamesAlone() throws IOException {
    try (OpenModel model = OpenModel.open(MODEL)) {
      StoredWeights stored = new StoredWeights(MODEL, model);
      for (String name : model.tensors().keySet()) {
        assertTrue(stored.find(name).isPresent(), name);
      }
    }
  }

  /// Other schemes have statistics beside the codes, which rows would have to share.
  @Test
  void refusesRowsOfWeightsThatAreQuantizedAsAWhole() {
    try (Arena arena = Arena.ofConfined()) {
      Map<Part, MemorySegment> parts =
          Map.of(Part.CODES, arena.allocate(384), Part.SCALE, arena.allocate(24));
      QuantizedTensor weight =
          new QuantizedTensor(new AbsmaxInt8(64), Shape.of(6, 64), DType.BF16, parts);
      LogicalTensor.Quantized fused =
          new LogicalTensor.Quantized("qkv.weight", weight, new NibbleStorage(), List.of());
      var rows = new StoredWeights.Stored(fused, 128, Shape.of(2, 64));
      var refusal = assertThrows(UnsupportedException.class, () -> StoredWeights.rows(fused, rows));
      assertTrue(String.valueOf(refusal.getMessage()).contains("--names diffusers"));
    }
  }
}
