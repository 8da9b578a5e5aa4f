package dev.nibble.converter;

import static dev.nibble.converter.EqualCheckpoints.assertEqualTensors;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.nibble.converter.Calibration.Scales;
import dev.nibble.converter.algorithm.GptqOptions;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.DType;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.quant.QuantSchemes;
import dev.nibble.formats.quant.storage.NibbleStorage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Scales of inputs, and what absorbs them: the model computes what it did. And inputs of 8 bits.
class InputScalesTest {
  private static final Path ZIMAGE = Fixtures.path("models/emoji-zimage/transformer");
  private static final int WIDTH = 192;
  private static final int TOKENS = 32;

  @TempDir static Path shared;

  @SuppressWarnings("NullAway.Init") // set before all tests
  private static Path stats;

  @TempDir Path folder;

  @BeforeAll
  static void record() throws IOException {
    stats = TestStatistics.ALL.write(shared.resolve("stats.safetensors"), ZIMAGE);
  }

  private static Calibration scales(Scales method, boolean eightBitInputs) {
    return new Calibration(
        stats, Optional.empty(), Optional.of(method), OptionalInt.empty(), eightBitInputs);
  }

  private ConversionRequest.Builder request(String scheme, String output) {
    return ConversionRequest.builder(ZIMAGE)
        .scheme(QuantSchemes.parse(scheme))
        .output(folder.resolve(output))
        .threads(2);
  }

  private static ConversionReport run(ConversionRequest.Builder request) throws IOException {
    Converter converter = new Converter();
    return converter.run(
        converter.plan(request.build()), ProgressListener.none(), new Cancellation());
  }

  /// Parts of the network that scales go through, from normalized tokens to the layer at their end.
  private record Network(OpenModel model) {
    float[] values(String tensor) {
      return Decoded.values(model, tensor);
    }

    /// `x·Wᵀ + b`.
    float[] linear(String module, float[] x) {
      float[] weight = values(module + ".weight");
      int in = x.length / TOKENS;
      int out = weight.length / in;
      float[] bias =
          model.tensors().containsKey(module + ".bias") ? values(module + ".bias") : new float[out];
      float[] y = new float[TOKENS * out];
      for (int t = 0; t < TOKENS; t++) {
        for (int o = 0; o < out; o++) {
          double sum = bias[o];
          for (int i = 0; i < in; i++) {
            sum += (double) x[t * in + i] * weight[o * in + i];
          }
          y[t * out + o] = (float) sum;
        }
      }
      return y;
    }

    float[] norm(String module, float[] x) {
      float[] weight = values(module + ".weight");
      float[] y = x.clone();
      for (int i = 0; i < y.length; i++) {
        y[i] *= weight[i % weight.length];
      }
      return y;
    }

    float[] query(String block, float[] x) {
      return linear(block + "attention.to_q", norm(block + "attention_norm1", x));
    }

    /// Each token attends to itself.
    float[] attention(String block, float[] x) {
      float[] value = linear(block + "attention.to_v", norm(block + "attention_norm1", x));
      return linear(block + "attention.to_out.0", value);
    }

    float[] feedForward(String block, float[] x) {
      float[] normed = norm(block + "ffn_norm1", x);
      float[] gate = linear(block + "feed_forward.w1", normed);
      float[] up = linear(block + "feed_forward.w3", normed);
      for (int i = 0; i < up.length; i++) {
        up[i] *= (float) (gate[i] / (1 + Math.exp(-gate[i])));
      }
      return linear(block + "feed_forward.w2", up);
    }

    float[] text(float[] x) {
      return linear("cap_embedder.1", norm("cap_embedder.0", x));
    }

    float[] last(float[] x) {
      float[] scale = linear("all_final_layer.2-1.adaLN_modulation.1", x);
      float[] y = x.clone();
      for (int i = 0; i < y.length; i++) {
        y[i] *= 1 + scale[i];
      }
      return linear("all_final_layer.2-1.linear", y);
    }

    List<float[]> outputs(float[] x) {
      return List.of(
          query("layers.0.", x),
          attention("layers.0.", x),
          feedForward("layers.0.", x),
          query("noise_refiner.1.", x),
          attention("context_refiner.0.", x),
          feedForward("layers.7.", x),
          text(x),
          last(x));
    }
  }

  private static float[] tokens() {
    Random random = new Random(7);
    float[] x = new float[TOKENS * WIDTH];
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return x;
  }

  /// Largest relative error of the parts' outputs.
  private double error(String output) throws IOException {
    float[] x = tokens();
    try (OpenModel source = OpenModel.open(ZIMAGE);
        OpenModel found = OpenModel.open(folder.resolve(output))) {
      List<float[]> expected = new Network(source).outputs(x);
      List<float[]> outputs = new Network(found).outputs(x);
      double most = 0;
      for (int i = 0; i < expected.size(); i++) {
        most = Math.max(most, Decoded.relativeError(expected.get(i), outputs.get(i)));
      }
      return most;
    }
  }

  private Set<String> rescaled(ConversionReport report) {
    Set<String> names = new TreeSet<>();
    for (TensorPlan plan : report.plan().tensors()) {
      if (plan instanceof TensorPlan.Rescale) {
        names.add(plan.source().name());
      }
    }
    return names;
  }

  private float[] values(Path model, String tensor) throws IOException {
    try (OpenModel open = OpenModel.open(model)) {
      return Decoded.values(open, tensor);
    }
  }

  /// In a scheme fine enough that rounding hides no mistake: a scale that is not absorbed, or is
  /// absorbed twice, is off by far more.
  @ParameterizedTest
  @CsvSource({"AWQ", "SMOOTH"})
  void foldedScalesCancel(Scales method) throws IOException {
    run(request("int8:g64", "plain"));
    ConversionReport report = run(request("int8:g64", "out").calibration(scales(method, false)));
    double plain = error("plain");
    double scaled = error("out");
    assertTrue(plain < 0.02, "" + plain);
    assertTrue(scaled < 0.03, "" + scaled);
    Set<String> norms = rescaled(report);
    assertTrue(norms.contains("layers.0.attention_norm1.weight"), norms.toString());
    assertTrue(norms.contains("cap_embedder.0.weight"), norms.toString());
    assertTrue(norms.contains("all_final_layer.2-1.adaLN_modulation.1.bias"), norms.toString());
    assertFalse(norms.contains("layers.0.attention_norm2.weight"), norms.toString());
    boolean moved = false;
    for (String name : norms) {
      moved |= !Arrays.equals(values(ZIMAGE, name), values(folder.resolve("out"), name));
    }
    assertTrue(moved, "no scale was found");
    assertTrue(
        report.plan().notes().stream()
            .anyMatch(note -> note.startsWith("inputs not scaled") && note.contains("embedder")),
        report.plan().notes().toString());
  }

  @Test
  void awqHelpsFourBits() throws IOException {
    ConversionReport report =
        run(request("int4:g64", "out").calibration(scales(Scales.AWQ, false)));
    double nearest = 0;
    double found = 0;
    for (var tensor : report.tensors()) {
      if (tensor.calibration().isPresent()) {
        nearest += tensor.calibration().get().outputs().orElseThrow().nearest();
        found += tensor.calibration().get().outputs().orElseThrow().calibrated();
        assertEquals(0, tensor.calibration().get().damping());
      }
    }
    assertTrue(found < 0.97 * nearest, found + " against " + nearest);
  }

  /// Where nothing absorbs a scale, nibble's own storage keeps it.
  @Test
  void nibbleKeepsScalesBesideWeights() throws IOException {
    ConversionReport report =
        run(
            request("int8:g64", "out")
                .storage(new NibbleStorage())
                .calibration(scales(Scales.AWQ, false)));
    Set<String> kept = new TreeSet<>();
    for (TensorPlan plan : report.plan().tensors()) {
      if (plan.scheme().endsWith("+scale")) {
        kept.add(LayerDecisions.module(plan.source().name()));
      }
    }
    assertTrue(kept.contains("t_embedder.mlp.2"), kept.toString());
    assertTrue(kept.contains("layers.0.adaLN_modulation.0"), kept.toString());
    assertFalse(kept.contains("layers.0.attention.to_q"), kept.toString());
    assertTrue(error("out") < 0.03);
    String layer = "t_embedder.mlp.2.weight";
    double error =
        Decoded.relativeError(values(ZIMAGE, layer), values(folder.resolve("out"), layer));
    assertTrue(error < 0.03, "the decoder divides by the scale: " + error);
  }

  @Test
  void compensationAndScalesGoTogether() throws IOException {
    ConversionReport report =
        run(
            request("int8:g64", "out")
                .calibration(
                    new Calibration(
                        stats,
                        Optional.of(GptqOptions.RECOMMENDED),
                        Optional.of(Scales.SMOOTH),
                        OptionalInt.of(8),
                        false)));
    assertEquals(
        100,
        report.plan().tensors().stream()
            .filter(plan -> plan.scheme().equals("int8:g64+svd8"))
            .count());
    double error = error("out");
    assertTrue(error < 0.03, "" + error);
  }

  @Test
  void whatAbsorbsScalesHasTheTypeAskedFor() throws IOException {
    run(request("int8:g64", "as-is").calibration(scales(Scales.AWQ, false)));
    run(request("int8:g64", "cast").calibration(scales(Scales.AWQ, false)).keptDtype(DType.BF16));
    assertEqualTensors(folder.resolve("as-is"), folder.resolve("cast"));
    Path wide = WideModel.write(folder.resolve("wide"), ZIMAGE);
    String norm = "layers.0.attention_norm1.weight";
    ConversionReport report =
        run(
            ConversionRequest.builder(wide)
                .scheme(QuantSchemes.parse("int8:g64"))
                .keptDtype(DType.BF16)
                .calibration(scales(Scales.AWQ, false))
                .output(folder.resolve("narrow")));
    TensorPlan plan =
        report.plan().tensors().stream()
            .filter(one -> one.source().name().equals(norm))
            .findFirst()
            .orElseThrow();
    assertEquals("scaled:BF16", plan.scheme());
    assertEquals(2L * WIDTH, plan.bytesOut());
    ConversionReport whole =
        run(
            ConversionRequest.builder(wide)
                .scheme(QuantSchemes.parse("int8:g64"))
                .calibration(scales(Scales.AWQ, false))
                .output(folder.resolve("whole")));
    assertTrue(whole.plan().tensors().stream().anyMatch(one -> one.scheme().equals("scaled:F32")));
    double rounding =
        Decoded.relativeError(
            values(folder.resolve("whole"), norm), values(folder.resolve("narrow"), norm));
    assertTrue(rounding > 0 && rounding < 1.0 / 256, "" + rounding);
  }

  private JsonNode quantization(String output) throws IOException {
    return new ObjectMapper()
        .readTree(Files.readString(folder.resolve(output).resolve("config.json")))
        .path("quantization_config");
  }

  @ParameterizedTest
  @CsvSource({"absmax8, int, false", "absmax8, int, true", "fp8:row, float, true"})
  void eightBitInputsAreDescribed(String scheme, String type, boolean smooth) throws IOException {
    Calibration how =
        smooth
            ? scales(Scales.SMOOTH, true)
            : new Calibration(stats, Optional.empty(), Optional.empty(), OptionalInt.empty(), true);
    ConversionReport report = run(request(scheme, "out").calibration(how));
    JsonNode json = quantization("out");
    JsonNode inputs = json.at("/config_groups/group_0/input_activations");
    assertEquals(type, inputs.path("type").asText(), json.toString());
    assertEquals("token", inputs.path("strategy").asText());
    assertTrue(inputs.path("dynamic").asBoolean());
    Set<String> ignored = new TreeSet<>();
    json.path("ignore").forEach(name -> ignored.add(name.asText()));
    Set<String> kept = new TreeSet<>();
    int quantized = 0;
    for (TensorPlan plan : report.plan().tensors()) {
      String name = plan.source().name();
      boolean linear = plan.source().shape().rank() == 2 && name.endsWith(".weight");
      if (plan instanceof TensorPlan.Quantize) {
        quantized++;
      } else if (linear) {
        kept.add(LayerDecisions.module(name));
      }
    }
    assertEquals(kept, ignored);
    assertTrue(quantized > 20, quantized + " layers");
    assertTrue(kept.contains("layers.0.adaLN_modulation.0"), kept.toString());
    assertTrue(kept.contains("t_embedder.mlp.0"), kept.toString());
    assertEquals(smooth && !scheme.startsWith("fp8"), !rescaled(report).isEmpty());
    run(request(scheme, "plain"));
    double plain = error("plain");
    double found = error("out");
    assertTrue(found < 2 * plain, found + " against " + plain);
  }

  @ParameterizedTest
  @CsvSource({
    "nf4, out, --scheme absmax8",
    "absmax8, out.safetensors, only a directory of compressed-tensors"
  })
  void eightBitInputsNeedAFormatThatTells(String scheme, String output, String why) {
    Calibration how =
        new Calibration(stats, Optional.empty(), Optional.empty(), OptionalInt.empty(), true);
    ConversionException refusal =
        assertThrows(
            ConversionException.class, () -> run(request(scheme, output).calibration(how)));
    assertTrue(String.valueOf(refusal.getMessage()).contains(why), refusal.getMessage());
  }
}
