package dev.nibble.runtime.models.qwenimage;

import static dev.nibble.runtime.Close.assertClose;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.runtime.TensorFile;
import dev.nibble.runtime.cpu.CpuBackend;
import dev.nibble.runtime.models.Denoiser.Conditioning;
import dev.nibble.runtime.models.GuidanceOptions;
import dev.nibble.runtime.models.TrunkRunner;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.weights.ComponentWeights;
import dev.nibble.runtime.weights.ModelConfig;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Against diffusers' own outputs, float32.
class QwenImageTransformerTest {
  private static final Path MODEL = Fixtures.path("models/emoji-qwen/transformer-qwen");

  private static CpuBackend backend;
  private static ComponentWeights weights;
  private static QwenImageTransformer model;
  private static TensorFile inputs;

  @BeforeAll
  static void load() throws IOException {
    backend = new CpuBackend();
    weights = ComponentWeights.open(MODEL, backend.newWeights("transformer"));
    model =
        QwenImageTransformer.load(
            weights, new ModelConfig(MODEL.resolve("config.json"), weights.config().orElseThrow()));
    inputs = TensorFile.read("models/emoji-zimage/reference/inputs.safetensors");
  }

  @AfterAll
  static void close() {
    weights.close();
    backend.close();
  }

  private static Tensor input(String name, Ops ops) {
    return ops.fromHost(inputs.values(name), inputs.shape(name));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3, 4, 5})
  void everyStepWithoutGuidance(int prompt) throws IOException {
    run(prompt, 1, TensorFile.read("models/emoji-qwen/reference/run-cfg1.safetensors"));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3, 4, 5})
  void everyStepWithGuidance(int prompt) throws IOException {
    run(prompt, 2, TensorFile.read("models/emoji-qwen/reference/run-cfg2.safetensors"));
  }

  private static void run(int prompt, double scale, TensorFile run) {
    float[] sigmas = run.values("sigmas");
    try (Ops ops = backend.newOps("test")) {
      Conditioning positive =
          model.condition(List.of(input(prompt + ".text_embeds", ops)), 8, 8, ops);
      Conditioning negative =
          model.condition(List.of(input("negative.text_embeds", ops)), 8, 8, ops);
      Tensor latents = input(prompt + ".initial_latents", ops);
      for (int step = 0; step + 1 < sigmas.length; step++) {
        try (Region region = ops.region()) {
          Tensor velocity = model.predict(latents, sigmas[step], positive, TrunkRunner.ALL, ops);
          if (step == 0) {
            assertClose(
                "first output", run.values(prompt + ".first_output"), packed(velocity, ops));
          }
          if (model.guidance().active(scale)) {
            Tensor other = model.predict(latents, sigmas[step], negative, TrunkRunner.ALL, ops);
            velocity = model.guidance().combine(velocity, other, GuidanceOptions.of(scale), ops);
          }
          latents =
              region.keep(
                  ops.linearCombination(
                      new float[] {1, sigmas[step + 1] - sigmas[step]},
                      List.of(latents, velocity)));
        }
        float[] all = run.values(prompt + ".packed_latents");
        float[] actual = packed(latents, ops);
        float[] expected =
            Arrays.copyOfRange(all, step * actual.length, (step + 1) * actual.length);
        assertClose("latents after step " + step, expected, actual);
      }
    }
  }

  private static float[] packed(Tensor latents, Ops ops) {
    return ops.toHost(PackedLatents.pack(latents, ops));
  }
}
