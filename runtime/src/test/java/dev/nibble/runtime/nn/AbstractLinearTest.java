package dev.nibble.runtime.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.DType;
import dev.nibble.formats.diffusers.QuantizationConfig;
import dev.nibble.formats.quant.AbsmaxInt8;
import dev.nibble.formats.quant.ActivationType;
import dev.nibble.formats.quant.Fp8;
import dev.nibble.formats.quant.Fp8Type;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.formats.quant.storage.CompressedTensorsStorage;
import dev.nibble.runtime.cpu.CpuBackend;
import dev.nibble.runtime.tensor.Backend;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.weights.ComponentWeights;
import dev.nibble.runtime.weights.RewrittenComponent;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.SequencedMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/// A layer with something set around its weight against one with the weight that it stands for.
abstract class AbstractLinearTest {
  private static final String LAYER = "layers.0.feed_forward.w1";
  private static final int OUT = 512;
  private static final int IN = 192;

  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init") // set before each test
  private Path model;

  @BeforeEach
  void write() throws IOException {
    model = folder.resolve("model");
    RewrittenComponent.random(model, LAYER, OUT, IN);
  }

  /// The backend under test.
  abstract Backend newBackend();

  /// Norm of the differences over that of the results.
  abstract double tolerance();

  private static float[] inputs(int rows) {
    Random random = new Random(17);
    float[] values = new float[rows * IN];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian() * (i % IN == 5 ? 20 : 1);
    }
    return values;
  }

  private static float[] apply(Backend backend, Path directory, int rows) throws IOException {
    try (ComponentWeights weights = ComponentWeights.open(directory, backend.newWeights("test"));
        Ops ops = backend.newOps("test")) {
      Linear layer = Linear.unbiased(weights, LAYER, OUT, IN);
      Tensor x = ops.fromHost(inputs(rows), 1, rows, IN);
      float[] result = once(layer, x, ops);
      long open = backend.openBytes();
      assertArrayEquals(result, once(layer, x, ops));
      assertEquals(open, backend.openBytes(), "bytes open after a call");
      return result;
    }
  }

  private static float[] once(Linear layer, Tensor x, Ops ops) {
    try (Region _ = ops.region()) {
      return ops.toHost(layer.apply(x, ops));
    }
  }

  private static float[] onProcessor(Path directory, int rows) throws IOException {
    try (Backend cpu = new CpuBackend()) {
      return apply(cpu, directory, rows);
    }
  }

  private void expectNear(float[] expected, float[] actual) {
    assertEquals(expected.length, actual.length);
    double differences = 0;
    double squares = 0;
    for (int i = 0; i < expected.length; i++) {
      differences += Math.pow((double) expected[i] - actual[i], 2);
      squares += (double) expected[i] * expected[i];
    }
    double error = Math.sqrt(differences / squares);
    assertTrue(error <= tolerance(), "off by " + error + " of the results' norm");
  }

  @ParameterizedTest
  @CsvSource({"nf4+svd8, 3", "nf4+svd32, 80", "int4:g64+svd5, 33", "nf4:plain+scale, 1"})
  void computesWhatTheWholeWeightWould(String id, int rows) throws IOException {
    Path branched = folder.resolve("branched");
    Path dense = folder.resolve("dense");
    RewrittenComponent.quantized(model, branched, QuantSchemes.parse(id), Optional.empty());
    RewrittenComponent.dense(branched, dense);
    try (Backend backend = newBackend()) {
      expectNear(onProcessor(dense, rows), apply(backend, branched, rows));
      assertEquals(0, backend.openBytes(), "bytes open after everything closed");
    }
  }

  private static ObjectNode eightBit(QuantScheme scheme, String type, String ignored) {
    SequencedMap<String, QuantScheme> modules = new LinkedHashMap<>();
    modules.put(LAYER, scheme);
    ObjectNode json =
        QuantizationConfig.of(
            new CompressedTensorsStorage(), modules, List.of(ignored), Optional.empty());
    ((ObjectNode) json.path("config_groups").path("group_0"))
        .putObject("input_activations")
        .put("num_bits", 8)
        .put("type", type)
        .put("symmetric", true)
        .put("strategy", "token")
        .put("dynamic", true);
    return json;
  }

  private static QuantScheme scheme(ActivationType type) {
    return switch (type) {
      case INT8 -> new AbsmaxInt8(0);
      case FP8_E4M3 -> new Fp8(Fp8Type.E4M3, Fp8.Scaling.ROW, DType.F32);
    };
  }

  /// By hand: rounded inputs times the decoded weight.
  @ParameterizedTest
  @EnumSource(ActivationType.class)
  void inputsOfEightBitsAreRoundedRowByRow(ActivationType type) throws IOException {
    Path quantized = folder.resolve("w8a8");
    Path dense = folder.resolve("dense");
    String word = type == ActivationType.INT8 ? "int" : "float";
    RewrittenComponent.quantized(
        model, quantized, scheme(type), Optional.of(eightBit(scheme(type), word, "other")));
    RewrittenComponent.dense(quantized, dense);
    float[] expected;
    try (Backend cpu = new CpuBackend();
        ComponentWeights weights = ComponentWeights.open(dense, cpu.newWeights("test"));
        Ops ops = cpu.newOps("test")) {
      Tensor x = ops.fakeQuantRows(ops.fromHost(inputs(21), 1, 21, IN), type);
      expected = ops.toHost(Linear.unbiased(weights, LAYER, OUT, IN).apply(x, ops));
    }
    try (Backend backend = newBackend()) {
      float[] actual = apply(backend, quantized, 21);
      expectNear(expected, actual);
      float[] weightOnly = onProcessor(dense, 21);
      double differences = 0;
      for (int i = 0; i < actual.length; i++) {
        differences += Math.abs(actual[i] - weightOnly[i]);
      }
      assertTrue(differences / actual.length > 1e-3, "rounded inputs make a difference");
    }
  }

  /// A layer that the configuration ignores takes its inputs as they are.
  @ParameterizedTest
  @ValueSource(strings = {LAYER, "re:layers\\.0\\..*"})
  void ignoredLayersTakeInputsAsTheyAre(String ignored) throws IOException {
    Path quantized = folder.resolve("w8a8");
    Path dense = folder.resolve("dense");
    QuantScheme scheme = scheme(ActivationType.INT8);
    RewrittenComponent.quantized(
        model, quantized, scheme, Optional.of(eightBit(scheme, "int", ignored)));
    RewrittenComponent.dense(quantized, dense);
    try (Backend backend = newBackend()) {
      expectNear(onProcessor(dense, 4), apply(backend, quantized, 4));
    }
  }

  @Test
  void theSummaryTellsOfBranchesAndInputs() throws IOException {
    Path branched = folder.resolve("branched");
    Path quantized = folder.resolve("w8a8");
    QuantScheme scheme = scheme(ActivationType.INT8);
    RewrittenComponent.quantized(model, branched, QuantSchemes.parse("nf4+svd4"), Optional.empty());
    RewrittenComponent.quantized(
        model, quantized, scheme, Optional.of(eightBit(scheme, "int", "other")));
    try (Backend backend = newBackend();
        ComponentWeights svd = ComponentWeights.open(branched, backend.newWeights("a"));
        ComponentWeights w8a8 = ComponentWeights.open(quantized, backend.newWeights("b"))) {
      assertTrue(svd.summary().startsWith("nf4+svd4 x "), svd.summary());
      assertTrue(w8a8.summary().startsWith("absmax8 (inputs int8) x "), w8a8.summary());
    }
  }
}
