package dev.nibble.runtime.models;

import static dev.nibble.runtime.Close.assertClose;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.DType;
import dev.nibble.formats.LittleEndian;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.model.Fold;
import dev.nibble.formats.model.ModelFamilies;
import dev.nibble.formats.model.ModelFamily;
import dev.nibble.formats.model.TensorEdit;
import dev.nibble.formats.safetensors.SafetensorsLayout;
import dev.nibble.formats.safetensors.SafetensorsWriter;
import dev.nibble.formats.safetensors.TensorSpec;
import dev.nibble.runtime.TensorFile;
import dev.nibble.runtime.cpu.CpuBackend;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.text.qwen3.Qwen3TextEncoder;
import dev.nibble.runtime.weights.ComponentWeights;
import dev.nibble.runtime.weights.ModelConfig;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Models whose every fold has taken a random scale compute what they computed before.
class FoldTest {
  private static final String INPUTS = "models/emoji-zimage/reference/inputs.safetensors";

  @TempDir Path folder;

  private static Map<String, Shape> shapes(Checkpoint checkpoint) {
    Map<String, Shape> shapes = new LinkedHashMap<>();
    checkpoint.tensors().values().forEach(info -> shapes.put(info.name(), info.shape()));
    return shapes;
  }

  /// Scales of each fold, from 1/4 to 4.
  private static Map<Fold, float[]> scales(List<Fold> folds, Map<String, Shape> shapes) {
    Random random = new Random(11);
    Map<Fold, float[]> scales = new LinkedHashMap<>();
    for (Fold fold : folds) {
      String weight = fold.consumers().getFirst() + ".weight";
      long width = Objects.requireNonNull(shapes.get(weight), weight).last();
      float[] chosen = new float[Math.toIntExact(width)];
      for (int i = 0; i < chosen.length; i++) {
        chosen[i] = (float) Math.pow(4, 2 * random.nextDouble() - 1);
      }
      scales.put(fold, chosen);
    }
    return scales;
  }

  private static ModelFamily family(String id) {
    return ModelFamilies.byId(id).orElseThrow();
  }

  /// Writes the model in float32 with folds applied to the tensors that a test wants edited, each
  /// in pieces of odd length.
  private void write(Path source, String family, Predicate<String> edited) throws IOException {
    try (Checkpoint checkpoint = Checkpoints.open(source)) {
      Map<String, Shape> shapes = shapes(checkpoint);
      Map<Fold, float[]> chosen = scales(family(family).folds(shapes), shapes);
      Map<String, TensorEdit> edits = TensorEdit.of(chosen, shapes.keySet());
      List<TensorSpec> specs = new ArrayList<>();
      shapes.forEach((name, shape) -> specs.add(new TensorSpec(name, DType.F32, shape)));
      SafetensorsLayout layout = SafetensorsLayout.plan(specs, List.of(), Map.of());
      Path file = folder.resolve("diffusion_pytorch_model.safetensors");
      try (SafetensorsWriter writer = SafetensorsWriter.create(file, layout)) {
        for (TensorInfo info : checkpoint.tensors().values()) {
          float[] values = new float[Math.toIntExact(info.shape().elements())];
          FloatReader.of(info.dtype()).read(checkpoint.data(info), 0, values, values.length);
          long row = info.shape().rank() == 2 ? info.shape().last() : 1;
          Optional.ofNullable(edits.get(info.name()))
              .filter(_ -> edited.test(info.name()))
              .ifPresent(edit -> inPieces(edit, values, row));
          MemorySegment bytes = MemorySegment.ofArray(new byte[4 * values.length]);
          MemorySegment.copy(values, 0, bytes, LittleEndian.FLOAT, 0, values.length);
          writer.write(info.name(), 0, bytes);
        }
        writer.finish();
      }
    }
    Files.copy(source.resolve("config.json"), folder.resolve("config.json"));
  }

  private static void inPieces(TensorEdit edit, float[] values, long row) {
    for (int begin = 0; begin < values.length; begin += 1001) {
      edit.apply(begin, Math.min(1001, values.length - begin), row, values, begin);
    }
  }

  private static float[] predict(Path model) throws IOException {
    TensorFile inputs = TensorFile.read(INPUTS);
    try (CpuBackend backend = new CpuBackend();
        ComponentWeights weights = ComponentWeights.open(model, backend.newWeights("transformer"));
        Ops ops = backend.newOps("test")) {
      Denoiser denoiser =
          Denoisers.load(
              weights,
              new ModelConfig(model.resolve("config.json"), weights.config().orElseThrow()));
      Tensor latents =
          ops.fromHost(inputs.values("1.initial_latents"), inputs.shape("1.initial_latents"));
      Tensor text = ops.fromHost(inputs.values("1.text_embeds"), inputs.shape("1.text_embeds"));
      Denoiser.Conditioning given = denoiser.condition(List.of(text), 8, 8, ops);
      return ops.toHost(denoiser.predict(latents, 0.7f, given, TrunkRunner.ALL, ops));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "models/emoji-zimage/transformer, z-image, 50",
    "models/emoji-qwen/transformer-qwen, qwen-image, 22"
  })
  void foldedTransformersPredictTheSame(String model, String family, int folds) throws IOException {
    Path source = Fixtures.path(model);
    try (Checkpoint checkpoint = Checkpoints.open(source)) {
      assertEquals(folds, family(family).folds(shapes(checkpoint)).size());
    }
    write(source, family, _ -> true);
    assertClose("velocity", predict(source), predict(folder), 1e-4, 1e-4);
  }

  /// The test above can fail: half of the edits change the picture.
  @Test
  void producersAloneChangeThePrediction() throws IOException {
    Path source = Fixtures.path("models/emoji-zimage/transformer");
    write(source, "z-image", name -> name.contains("norm"));
    float[] expected = predict(source);
    float[] actual = predict(folder);
    assertThrows(AssertionError.class, () -> assertClose("velocity", expected, actual, 0.01, 0.01));
  }

  /// Its values are shared by several queries each, so that `o_proj` has no fold.
  @Test
  void foldedTextEncoderYieldsTheSame() throws IOException {
    Path source = Fixtures.path("models/emoji-zimage/text_encoder");
    try (Checkpoint checkpoint = Checkpoints.open(source)) {
      List<Fold> folds = family("qwen-llama").folds(shapes(checkpoint));
      assertEquals(3 * 3, folds.size());
      assertTrue(
          folds.stream()
              .flatMap(fold -> fold.consumers().stream())
              .noneMatch(module -> module.endsWith("o_proj")));
    }
    write(source, "qwen-llama", _ -> true);
    float[] expected = encode(source);
    // Features of the last layer but one are large.
    assertClose("features", expected, encode(folder), 1e-4, 1e-3);
  }

  private static float[] encode(Path model) throws IOException {
    try (CpuBackend backend = new CpuBackend();
        ComponentWeights weights =
            ComponentWeights.open(model, backend.newWeights("text encoder"));
        Ops ops = backend.newOps("test")) {
      Qwen3TextEncoder encoder =
          Qwen3TextEncoder.load(
              weights,
              new ModelConfig(model.resolve("config.json"), weights.config().orElseThrow()));
      return ops.toHost(encoder.encode(new int[] {1501, 411, 198, 680, 292, 1502}, ops));
    }
  }
}
