package dev.nibble.runtime.models.zimage;

import static dev.nibble.runtime.Close.assertClose;

import dev.nibble.fixtures.Fixtures;
import dev.nibble.runtime.TensorFile;
import dev.nibble.runtime.cpu.CpuBackend;
import dev.nibble.runtime.models.BlockState;
import dev.nibble.runtime.models.Branches;
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
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Against diffusers' own outputs, float32.
class ZImageTransformerTest {
  private static final Path MODEL = Fixtures.path("models/emoji-zimage/transformer");
  private static final String REFERENCE = "models/emoji-zimage/reference/";

  private static CpuBackend backend;
  private static ComponentWeights weights;
  private static ZImageTransformer model;
  private static TensorFile inputs;

  @BeforeAll
  static void load() throws IOException {
    backend = new CpuBackend();
    weights = ComponentWeights.open(MODEL, backend.newWeights("transformer"));
    model =
        ZImageTransformer.load(
            weights, new ModelConfig(MODEL.resolve("config.json"), weights.config().orElseThrow()));
    inputs = TensorFile.read(REFERENCE + "inputs.safetensors");
  }

  @AfterAll
  static void close() {
    weights.close();
    backend.close();
  }

  private static Tensor input(String name, Ops ops) {
    return ops.fromHost(inputs.values(name), inputs.shape(name));
  }

  @Test
  void everyLayerOfTheFirstStep() throws IOException {
    TensorFile trace = TensorFile.read(REFERENCE + "trace.safetensors");
    try (Ops ops = backend.newOps("test")) {
      Conditioning given = model.condition(List.of(input("0.text_embeds", ops)), 8, 8, ops);
      assertClose(
          "captions",
          trace.values("context_refiner.1"),
          ops.toHost(((ZImageConditioning) given).captions()));
      TrunkRunner checking =
          (trunk, in, inner) -> {
            BlockState state = in;
            assertClose(
                "noise refiner",
                trace.values("noise_refiner.1"),
                inner.toHost(inner.slice(in.hidden(), 1, 0, 32)));
            for (int i = 0; i < trunk.blocks(); i++) {
              state = trunk.run(i, state, Branches.COMPUTE, inner);
              assertClose("layer " + i, trace.values("layers." + i), inner.toHost(state.hidden()));
            }
            return state;
          };
      Tensor velocity = model.predict(input("0.initial_latents", ops), 1, given, checking, ops);
      assertClose("output", trace.values("output"), ops.toHost(ops.affine(velocity, -1, 0)));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3, 4, 5})
  void everyStepWithoutGuidance(int prompt) throws IOException {
    TensorFile run = TensorFile.read(REFERENCE + "run-g0.safetensors");
    float[] sigmas = run.values("sigmas");
    try (Ops ops = backend.newOps("test")) {
      Conditioning given = model.condition(List.of(input(prompt + ".text_embeds", ops)), 8, 8, ops);
      Tensor latents = input(prompt + ".initial_latents", ops);
      for (int step = 0; step + 1 < sigmas.length; step++) {
        try (Region region = ops.region()) {
          Tensor velocity = model.predict(latents, sigmas[step], given, TrunkRunner.ALL, ops);
          if (step == 0) {
            assertClose(
                "first output",
                run.values(prompt + ".first_output"),
                ops.toHost(ops.affine(velocity, -1, 0)));
          }
          latents = region.keep(step(latents, velocity, sigmas, step, ops));
        }
        checkStep(run, prompt, step, ops.toHost(latents));
      }
    }
  }

  /// Prompts of unequal length, so that one of the two captions is padded.
  @ParameterizedTest
  @CsvSource({"0", "1", "2", "3", "4", "5"})
  void everyStepWithGuidance(int prompt) throws IOException {
    TensorFile run = TensorFile.read(REFERENCE + "run-g1.safetensors");
    float[] sigmas = run.values("sigmas");
    try (Ops ops = backend.newOps("test")) {
      Conditioning given =
          model.condition(
              List.of(input(prompt + ".text_embeds", ops), input("negative.text_embeds", ops)),
              8,
              8,
              ops);
      Tensor latents = input(prompt + ".initial_latents", ops);
      for (int step = 0; step + 1 < sigmas.length; step++) {
        try (Region region = ops.region()) {
          Tensor both = model.predict(latents, sigmas[step], given, TrunkRunner.ALL, ops);
          Tensor velocity =
              model
                  .guidance()
                  .combine(both.rows(0, 1), both.rows(1, 2), GuidanceOptions.of(1), ops);
          latents = region.keep(step(latents, velocity, sigmas, step, ops));
        }
        checkStep(run, prompt, step, ops.toHost(latents));
      }
    }
  }

  private static Tensor step(Tensor x, Tensor velocity, float[] sigmas, int step, Ops ops) {
    return ops.linearCombination(
        new float[] {1, sigmas[step + 1] - sigmas[step]}, List.of(x, velocity));
  }

  private static void checkStep(TensorFile run, int prompt, int step, float[] latents) {
    float[] all = run.values(prompt + ".latents");
    float[] expected = Arrays.copyOfRange(all, step * latents.length, (step + 1) * latents.length);
    assertClose("latents after step " + step, expected, latents);
  }
}
