package dev.nibble.formats.calibration;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.DType;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.calibration.CalibrationWriter.Input;
import dev.nibble.formats.calibration.CalibrationWriter.Sums;
import dev.nibble.formats.safetensors.SafetensorsLayout;
import dev.nibble.formats.safetensors.SafetensorsWriter;
import dev.nibble.formats.safetensors.TensorSpec;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class CalibrationFileTest {
  private static final String LAYERS =
      """
      {"a.q":{"input":"a.q","out":5,"in":2},"a.k":{"input":"a.q","out":3,"in":2},\
      "a.o":{"input":"a.o","out":2,"in":3}}\
      """;

  @TempDir private Path folder;

  /// A file as its parts, to be damaged.
  static final class Parts {
    final Map<String, String> metadata = new LinkedHashMap<>();
    final Map<String, TensorSpec> specs = new LinkedHashMap<>();
    final Map<String, double[]> values = new LinkedHashMap<>();

    Parts() {
      metadata.put("format", "nibble.calibration");
      metadata.put("version", "1");
      metadata.put("component", "transformer");
      metadata.put("config", "{\"_class_name\":\"Tiny\"}");
      metadata.put("layers", LAYERS);
      metadata.put("prompts", "2");
      metadata.put("steps", "3");
      metadata.put("seed", "-7");
      metadata.put("guidance", "1.5");
      metadata.put("step_weights", "uniform");
      metadata.put("tool", "nibble test");
      input("a.q", 2);
      input("a.o", 3);
    }

    private void input(String name, int features) {
      double[] ones = new double[features];
      Arrays.fill(ones, 1);
      put(name + ".count", DType.I64, Shape.of(1), 4);
      put(name + ".abs_sum", DType.F64, Shape.of(features), ones);
      put(name + ".abs_max", DType.F32, Shape.of(features), ones);
      put(name + ".square_sum", DType.F64, Shape.of(features), ones);
      put(name + ".sample", DType.F32, Shape.of(1, features), ones);
      double[] square = new double[features * features];
      Arrays.fill(square, 0.5);
      put(name + ".hessian", DType.F32, Shape.of(features, features), square);
    }

    void put(String name, DType dtype, Shape shape, double... elements) {
      specs.put(name, new TensorSpec(name, dtype, shape));
      values.put(name, elements);
    }

    void remove(String name) {
      specs.remove(name);
      values.remove(name);
    }

    void write(Path file) throws IOException {
      SafetensorsLayout layout =
          SafetensorsLayout.plan(new ArrayList<>(specs.values()), List.of(), metadata);
      try (SafetensorsWriter writer = SafetensorsWriter.create(file, layout);
          Arena arena = Arena.ofConfined()) {
        for (TensorSpec spec : specs.values()) {
          double[] elements = values.getOrDefault(spec.name(), new double[0]);
          MemorySegment bytes = arena.allocate(Math.max(1, spec.byteSize()));
          for (int i = 0; i < elements.length; i++) {
            set(bytes, spec.dtype(), i, elements[i]);
          }
          writer.write(spec.name(), 0, bytes.asSlice(0, spec.byteSize()));
        }
        writer.finish();
      }
    }

    private static void set(MemorySegment bytes, DType dtype, int index, double value) {
      switch (dtype) {
        case I64 -> bytes.setAtIndex(LittleEndian.LONG, index, (long) value);
        case F64 -> bytes.setAtIndex(LittleEndian.DOUBLE, index, value);
        default -> bytes.setAtIndex(LittleEndian.FLOAT, index, (float) value);
      }
    }
  }

  @Test
  void readsWhatWasWritten() throws IOException {
    SequencedMap<String, CalibratedLayer> layers = new LinkedHashMap<>();
    layers.put("a.q", new CalibratedLayer("a.q", 5, 2));
    layers.put("a.o", new CalibratedLayer("a.o", 2, 3));
    layers.put("a.k", new CalibratedLayer("a.q", 3, 2));
    CalibrationHeader header =
        new CalibrationHeader(
            "transformer",
            "{\"dim\":2}",
            layers,
            4,
            20,
            Long.MIN_VALUE,
            0.25,
            "step-squared",
            "nibble 9");
    Path file = folder.resolve("s.safetensors");
    try (CalibrationWriter writer =
            CalibrationWriter.create(
                file,
                file,
                header,
                List.of(new Input("a.q", 2, 2, true), new Input("a.o", 3, 0, false)));
        Arena arena = Arena.ofConfined()) {
      writer.write(
          "a.q",
          new Sums(
              8,
              new double[] {8, 4},
              new float[] {3, 2},
              new double[] {16, 2},
              new float[] {1, 2, 3, 4}));
      writer.writeHessian("a.q", arena.allocateFrom(LittleEndian.FLOAT, 16, 5, 5, 2));
      writer.write("a.o", new Sums(1, new double[3], new float[3], new double[3], new float[0]));
      writer.finish();
    }
    try (CalibrationFile read = CalibrationFile.open(file)) {
      assertEquals(header, read.header());
      assertEquals(List.copyOf(layers.keySet()), List.copyOf(read.header().layers().keySet()));
      assertEquals(
          List.of("a.q", "a.o"), read.inputs().stream().map(InputStatistics::name).toList());
      InputStatistics q = read.of("a.k").orElseThrow();
      assertEquals(List.of("a.q", "a.k"), q.modules());
      assertEquals(2, q.features());
      assertEquals(8, q.count());
      assertArrayEquals(new double[] {1, 0.5}, q.meanAbs());
      assertArrayEquals(new float[] {3, 2}, q.maxAbs());
      assertArrayEquals(new double[] {2, 0.25}, q.meanSquare());
      assertArrayEquals(
          new float[] {16, 5, 5, 2}, q.hessian().orElseThrow().toArray(LittleEndian.FLOAT));
      assertArrayEquals(new float[] {1, 2, 3, 4}, q.sample().toArray(LittleEndian.FLOAT));
      assertEquals(2, q.sampleRows());
      InputStatistics o = read.of("a.o").orElseThrow();
      assertEquals(0, o.sampleRows());
      assertTrue(o.hessian().isEmpty());
      assertEquals(Optional.empty(), read.of("a.v"));
    }
  }

  static Stream<Arguments> damages() {
    return Stream.of(
        damage("expected calibration statistics", parts -> parts.metadata.remove("format")),
        damage("expected calibration statistics", parts -> parts.metadata.put("format", "pt")),
        damage("found version 2: update nibble", parts -> parts.metadata.put("version", "2")),
        damage("'version' as a whole number", parts -> parts.metadata.put("version", "one")),
        damage("metadata 'component'", parts -> parts.metadata.remove("component")),
        damage("'config' as a JSON object", parts -> parts.metadata.put("config", "[1]")),
        damage("'config' as a JSON object", parts -> parts.metadata.put("config", "{} {}")),
        damage("'layers' as a JSON object", parts -> parts.metadata.put("layers", "{\"a\":")),
        damage("with one layer or more", parts -> parts.metadata.put("layers", "{}")),
        damage(
            "input, out and in of layer 'a'", parts -> parts.metadata.put("layers", "{\"a\":1}")),
        damage(
            "input of layer 'a.k' to be that of a layer of 2 columns",
            parts ->
                parts.metadata.put("layers", LAYERS.replace("a.q\",\"out\":3", "b\",\"out\":3"))),
        damage(
            "input of layer 'a.k' to be that of a layer of 4 columns",
            parts -> parts.metadata.put("layers", LAYERS.replace("3,\"in\":2", "3,\"in\":4"))),
        damage("'prompts' as a whole number from 1", parts -> parts.metadata.put("prompts", "0")),
        damage("'steps' as a whole number", parts -> parts.metadata.put("steps", "9999999999")),
        damage("'guidance' as a number from 0", parts -> parts.metadata.put("guidance", "NaN")),
        damage("'step_weights'", parts -> parts.metadata.remove("step_weights")),
        damage("'a.q.count': expected statistics of every", parts -> parts.remove("a.q.count")),
        damage("'a.o.sample': expected statistics of every", parts -> parts.remove("a.o.sample")),
        damage(
            "I64 of shape 1, found F64 of 1",
            parts -> parts.put("a.q.count", DType.F64, Shape.of(1), 4)),
        damage("1 or more, found 0", parts -> parts.put("a.q.count", DType.I64, Shape.of(1), 0)),
        damage(
            "expected F64 of shape 3, found F64 of 2",
            parts -> parts.put("a.o.abs_sum", DType.F64, Shape.of(2), 1, 1)),
        damage("found NaN of feature 1", parts -> value(parts, "a.q.abs_sum", 1, Double.NaN)),
        damage(
            "found Infinity of feature 0",
            parts -> value(parts, "a.q.abs_max", 0, Double.POSITIVE_INFINITY)),
        damage("found -1.0 of feature 1", parts -> value(parts, "a.q.square_sum", 1, -1)),
        damage("found NaN of feature 2", parts -> value(parts, "a.o.hessian", 8, Double.NaN)),
        damage("found -2.0 of feature 0", parts -> value(parts, "a.o.hessian", 0, -2)),
        damage(
            "expected F32 of shape 3x3, found F32 of 9",
            parts -> parts.put("a.o.hessian", DType.F32, Shape.of(9), new double[9])),
        damage(
            "F32 rows of 2 numbers, at most 4",
            parts -> parts.put("a.q.sample", DType.F32, Shape.of(5, 2), new double[10])),
        damage(
            "F32 rows of 3 numbers",
            parts -> parts.put("a.o.sample", DType.F32, Shape.of(3), new double[3])));
  }

  private static Arguments damage(String message, Consumer<Parts> damage) {
    return Arguments.of(message, damage);
  }

  private static void value(Parts parts, String tensor, int index, double value) {
    parts.values.getOrDefault(tensor, new double[0])[index] = value;
  }

  @ParameterizedTest
  @MethodSource("damages")
  void refusesInOneLine(String message, Consumer<Parts> damage) throws IOException {
    Parts parts = new Parts();
    damage.accept(parts);
    Path file = folder.resolve("s.safetensors");
    parts.write(file);
    FormatException refusal =
        assertThrows(FormatException.class, () -> CalibrationFile.open(file).close());
    String line = String.valueOf(refusal.getMessage());
    assertTrue(line.startsWith(file.toString()), line);
    assertTrue(line.contains(message), line);
    assertEquals(1, line.lines().count());
  }

  @Test
  void undamagedPartsAreFine() throws IOException {
    Path file = folder.resolve("s.safetensors");
    new Parts().write(file);
    try (CalibrationFile read = CalibrationFile.open(file)) {
      assertEquals(-7, read.header().seed());
      assertEquals(2, read.inputs().size());
    }
  }

  @Test
  void refusesAFileCutShort() throws IOException {
    Path file = folder.resolve("s.safetensors");
    new Parts().write(file);
    byte[] whole = Files.readAllBytes(file);
    for (int length : new int[] {0, 7, 100, whole.length - 1}) {
      Files.write(file, Arrays.copyOf(whole, length));
      assertThrows(FormatException.class, () -> CalibrationFile.open(file).close());
    }
  }

  @Test
  void configurationsOfOneModelAreOneText() throws IOException {
    ObjectMapper json = new ObjectMapper();
    String saved =
        "{\"dim\": 2, \"_class_name\": \"T\", \"_diffusers_version\": \"0.40\", \"b\": [{\"y\": 1,"
            + " \"x\": null}], \"quantization_config\": {\"quant_method\": \"bitsandbytes\"}}";
    assertEquals(
        "{\"_class_name\":\"T\",\"b\":[{\"x\":null,\"y\":1}],\"dim\":2}",
        CanonicalConfig.of((ObjectNode) json.readTree(saved)));
  }
}
