package dev.nibble.formats.quant;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.DType;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.TestCheckpoint;
import dev.nibble.formats.quant.ggml.GgmlType;
import dev.nibble.formats.quant.storage.LogicalTensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// The scheme around ggml's codecs: weights cut into slices, files read back, what is refused.
class GgmlBlockTest {
  private static final Shape SHAPE = Shape.of(12, 512);

  /// Quantized types of the golden file with every type, by tensor name.
  static List<String> quantized() throws IOException {
    List<String> names = new ArrayList<>();
    try (OpenModel model = OpenModel.open(Fixtures.path("goldens/gguf/all_types_flux.gguf"))) {
      model.tensors().values().stream()
          .filter(LogicalTensor.Quantized.class::isInstance)
          .forEach(tensor -> names.add(tensor.name()));
    }
    assertEquals(12, names.size());
    return names;
  }

  private static MemorySegment golden(String file, String tensor) {
    Checkpoint checkpoint = TestCheckpoint.golden("goldens/gguf/" + file);
    return checkpoint.data(Objects.requireNonNull(checkpoint.tensors().get(tensor), tensor));
  }

  private static LogicalTensor.Quantized weight(OpenModel model, String name) {
    return (LogicalTensor.Quantized) Objects.requireNonNull(model.tensors().get(name), name);
  }

  private static GgmlType type(LogicalTensor.Quantized weight) {
    return ((GgmlBlock) weight.tensor().scheme()).type();
  }

  @ParameterizedTest
  @MethodSource("quantized")
  void slicesGiveTheBytesOfGgml(String name) throws IOException {
    try (OpenModel model = OpenModel.open(Fixtures.path("goldens/gguf/all_types_flux.gguf"));
        Arena arena = Arena.ofConfined()) {
      var expected = weight(model, name);
      GgmlBlock scheme = new GgmlBlock(type(expected));
      MemorySegment source = golden("gguf.src.safetensors", "w");
      MemorySegment codes = arena.allocate(scheme.codeBytes(SHAPE.elements()));
      WeightEncoder encoder = scheme.encoder(SHAPE, DType.F32, arena);
      long slice = scheme.sliceAlignment(SHAPE);
      assertEquals(8 * 512, slice);
      // The second slice first: nothing depends on the order.
      for (long begin : new long[] {slice, 0}) {
        long count = Math.min(slice, SHAPE.elements() - begin);
        encoder.encode(
            begin,
            count,
            source.asSlice(4 * begin, 4 * count),
            codes.asSlice(scheme.codeBytes(begin), scheme.codeBytes(count)));
      }
      assertEquals(Map.of(), encoder.finish());
      assertEquals(OptionalLong.empty(), encoder.nonFinite());
      assertEquals(-1, codes.mismatch(expected.tensor().part(Part.CODES)));
      float[] original = source.toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
      assertError(encoder.error(), original, decode(expected.tensor(), 0, original.length));
    }
  }

  private static void assertError(QuantError found, float[] original, float[] decoded) {
    double errors = 0;
    double max = 0;
    for (int i = 0; i < original.length; i++) {
      double difference = (double) original[i] - decoded[i];
      errors += difference * difference;
      max = Math.max(max, Math.abs(difference));
    }
    assertEquals(original.length, found.elements());
    assertEquals(errors, found.sumSquaredErrors(), 1e-9 * errors);
    assertEquals(max, found.maxError(), 1e-6 * max);
  }

  private static float[] decode(QuantizedTensor tensor, long begin, int count) {
    float[] values = new float[count];
    tensor.scheme().decoder(tensor).decode(begin, count, values, 0, new DecodeScratch());
    return values;
  }

  @ParameterizedTest
  @MethodSource("quantized")
  void filesDecodeToWhatGgmlDecodes(String name) throws IOException {
    try (OpenModel model = OpenModel.open(Fixtures.path("goldens/gguf/all_types_flux.gguf"))) {
      var weight = weight(model, name);
      float[] expected =
          golden("gguf.dequant.safetensors", type(weight).name())
              .toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
      assertEquals(SHAPE, weight.tensor().shape());
      assertArrayEquals(expected, decode(weight.tensor(), 0, expected.length));
      // From inside a block into another, and a piece of one.
      assertArrayEquals(
          Arrays.copyOfRange(expected, 250, 1300), decode(weight.tensor(), 250, 1050));
      assertArrayEquals(Arrays.copyOfRange(expected, 515, 520), decode(weight.tensor(), 515, 5));
    }
  }

  @Test
  void cutRowsGetTheirShapeBack() throws IOException {
    try (OpenModel model = OpenModel.open(Fixtures.path("goldens/gguf/orig_shape_lumina2.gguf"))) {
      var weight = weight(model, "x_embedder.weight");
      assertEquals(Shape.of(32, 3, 4, 4), weight.tensor().shape());
      float[] expected =
          golden("gguf.dequant.safetensors", "lumina.x_embedder.Q4_K")
              .toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
      assertArrayEquals(expected, decode(weight.tensor(), 0, expected.length));
    }
  }

  /// A convolution whose rows of 3 are no multiple of a block.
  @Test
  void cutRowsAreEncodedAsRowsOf256() {
    GgmlBlock scheme = new GgmlBlock(GgmlType.Q4_K);
    Shape shape = Shape.of(32, 3, 4, 4);
    MemorySegment source = golden("gguf.src.safetensors", "lumina.x_embedder");
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment codes = arena.allocate(scheme.codeBytes(shape.elements()));
      WeightEncoder encoder = scheme.encoder(shape, DType.F32, arena);
      encoder.encode(0, shape.elements(), source, codes);
      encoder.finish();
      QuantizedTensor tensor =
          new QuantizedTensor(scheme, shape, DType.F32, Map.of(Part.CODES, codes));
      float[] expected =
          golden("gguf.dequant.safetensors", "lumina.x_embedder.Q4_K")
              .toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
      assertArrayEquals(expected, decode(tensor, 0, expected.length));
    }
  }

  @Test
  void reportsWhatIsNotFinite() {
    GgmlBlock scheme = new GgmlBlock(GgmlType.Q8_0);
    Shape shape = Shape.of(2, 64);
    float[] values = new float[128];
    values[70] = Float.NaN;
    // Finite, but the scale of its block has no half-precision number.
    values[5] = 1e30f;
    try (Arena arena = Arena.ofConfined()) {
      WeightEncoder encoder = scheme.encoder(shape, DType.F32, arena);
      MemorySegment codes = arena.allocate(scheme.codeBytes(128));
      encoder.encode(0, 128, MemorySegment.ofArray(values), codes);
      assertEquals(0, encoder.nonFinite().orElseThrow());
      values[5] = 0;
      WeightEncoder second = scheme.encoder(shape, DType.F32, arena);
      second.encode(0, 128, MemorySegment.ofArray(values), codes);
      assertEquals(70, second.nonFinite().orElseThrow());
    }
  }

  @Test
  void importanceChangesTheBytesAndMustFit() {
    GgmlBlock scheme = new GgmlBlock(GgmlType.Q4_K);
    MemorySegment source = golden("gguf.src.safetensors", "w");
    float[] importance = new float[512];
    for (int i = 0; i < importance.length; i++) {
      importance[i] = 1 + i % 7 * 10;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment plain = arena.allocate(scheme.codeBytes(SHAPE.elements()));
      MemorySegment weighed = arena.allocate(scheme.codeBytes(SHAPE.elements()));
      scheme.encoder(SHAPE, DType.F32, arena).encode(0, SHAPE.elements(), source, plain);
      scheme
          .encoder(SHAPE, DType.F32, arena, Optional.of(importance))
          .encode(0, SHAPE.elements(), source, weighed);
      assertEquals(false, plain.mismatch(weighed) == -1);
      assertThrows(
          IllegalArgumentException.class,
          () -> scheme.encoder(SHAPE, DType.F32, arena, Optional.of(new float[256])));
    }
  }

  @Test
  void refusesRaggedWeightsAndPlainTypes() {
    GgmlBlock scheme = new GgmlBlock(GgmlType.Q4_K);
    assertThrows(IllegalArgumentException.class, () -> scheme.parts(Shape.of(3, 100)));
    assertThrows(IllegalArgumentException.class, () -> new GgmlBlock(GgmlType.F16));
    assertEquals("gguf:q4_k", scheme.id());
    assertEquals(scheme, QuantSchemes.parse("gguf:q4_k"));
    var unknown =
        assertThrows(IllegalArgumentException.class, () -> QuantSchemes.parse("gguf:f16"));
    assertEquals(true, String.valueOf(unknown.getMessage()).contains("q8_0"));
  }

  @Test
  void plainTensorsOfAFileArePlain() throws IOException {
    try (OpenModel model = OpenModel.open(Fixtures.path("goldens/gguf/align64_qwen_image.gguf"))) {
      var conv = (LogicalTensor.Dense) model.tensors().get("proj_in.conv.weight");
      TensorInfo info = Objects.requireNonNull(conv).info();
      assertEquals(DType.F16, info.dtype());
      assertEquals(
          -1,
          model.checkpoint().data(info).mismatch(golden("gguf.src.safetensors", "qwen.conv_f16")));
    }
  }
}
