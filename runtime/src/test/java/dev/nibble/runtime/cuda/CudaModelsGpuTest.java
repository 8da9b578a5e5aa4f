package dev.nibble.runtime.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.runtime.Goldens;
import dev.nibble.runtime.cuda.CudaOptions.Precision;
import dev.nibble.runtime.models.BlockState;
import dev.nibble.runtime.models.Branches;
import dev.nibble.runtime.models.Denoiser;
import dev.nibble.runtime.models.Denoiser.Conditioning;
import dev.nibble.runtime.models.Denoisers;
import dev.nibble.runtime.models.GuidanceOptions;
import dev.nibble.runtime.models.TrunkRunner;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.text.Tokenizer;
import dev.nibble.runtime.text.qwen3.Qwen3Prompt;
import dev.nibble.runtime.text.qwen3.Qwen3TextEncoder;
import dev.nibble.runtime.vae.AutoencoderKl;
import dev.nibble.runtime.weights.ComponentWeights;
import dev.nibble.runtime.weights.ModelConfig;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// The models on a GPU against the outputs of diffusers and transformers, which are float32.
@RequiresGpu
class CudaModelsGpuTest {
  private static final String MODEL = "models/emoji-zimage/";
  private static final String REFERENCE = MODEL + "reference/";

  /// Largest error relative to the norm of the expected numbers: float32 sums in another order, or
  /// the roundings of bfloat16.
  private static double tolerance(Precision precision) {
    return switch (precision) {
      case F32 -> 1e-4;
      case BF16 -> 3e-2;
    };
  }

  private static void assertNear(
      String what, Precision precision, float[] expected, float[] actual) {
    assertEquals(expected.length, actual.length, what);
    double differences = 0;
    double squares = 0;
    for (int i = 0; i < expected.length; i++) {
      differences += Math.pow((double) actual[i] - expected[i], 2);
      squares += (double) expected[i] * expected[i];
    }
    double error = Math.sqrt(differences / squares);
    assertTrue(error <= tolerance(precision), "%s: relative error %s".formatted(what, error));
  }

  private static CudaBackend open(Precision precision) {
    return CudaBackend.open(0, CudaOptions.DEFAULT.withPrecision(precision));
  }

  private static ComponentWeights weights(String fixture, CudaBackend backend) throws IOException {
    return ComponentWeights.open(Fixtures.path(fixture), backend.newWeights(fixture));
  }

  private static ModelConfig config(ComponentWeights weights) {
    return new ModelConfig(weights.path(), weights.config().orElseThrow());
  }

  private static Tensor tensor(Goldens.File file, String name, Ops ops) {
    return ops.fromHost(file.values(name), file.get(name).dims());
  }

  @ParameterizedTest
  @EnumSource(Precision.class)
  void featuresAreThoseOfTransformers(Precision precision) throws IOException {
    var inputs = Goldens.tensors(REFERENCE + "inputs.safetensors");
    JsonNode prompts = Goldens.json(REFERENCE + "reference.json").path("prompts");
    try (CudaBackend backend = open(precision);
        var weights = weights(MODEL + "text_encoder", backend);
        Ops ops = backend.newOps("test");
        Tokenizer tokenizer = Tokenizer.open(Fixtures.path(MODEL + "tokenizer/tokenizer.json"))) {
      var encoder = Qwen3TextEncoder.load(weights, config(weights));
      for (int prompt = 0; prompt < 6; prompt++) {
        String text = prompts.path(prompt).path("prompt").asText();
        assertNear(
            text,
            precision,
            inputs.values(prompt + ".text_embeds"),
            ops.toHost(encoder.encode(Qwen3Prompt.tokens(tokenizer, text), ops)));
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Precision.class)
  void everyLayerOfZImage(Precision precision) throws IOException {
    var inputs = Goldens.tensors(REFERENCE + "inputs.safetensors");
    var trace = Goldens.tensors(REFERENCE + "trace.safetensors");
    try (CudaBackend backend = open(precision);
        var weights = weights(MODEL + "transformer", backend);
        Ops ops = backend.newOps("test")) {
      Denoiser model = Denoisers.load(weights, config(weights));
      Conditioning given =
          model.condition(List.of(tensor(inputs, "0.text_embeds", ops)), 8, 8, ops);
      TrunkRunner checking =
          (trunk, in, inner) -> {
            BlockState state = in;
            for (int i = 0; i < trunk.blocks(); i++) {
              state = trunk.run(i, state, Branches.COMPUTE, inner);
              assertNear(
                  "layer " + i,
                  precision,
                  trace.values("layers." + i),
                  inner.toHost(state.hidden()));
            }
            return state;
          };
      Tensor velocity =
          model.predict(tensor(inputs, "0.initial_latents", ops), 1, given, checking, ops);
      assertNear(
          "output", precision, trace.values("output"), ops.toHost(ops.affine(velocity, -1, 0)));
    }
  }

  /// Prompts of unequal length, so that one of the two captions is padded.
  @ParameterizedTest
  @EnumSource(Precision.class)
  void everyStepWithGuidance(Precision precision) throws IOException {
    var inputs = Goldens.tensors(REFERENCE + "inputs.safetensors");
    var run = Goldens.tensors(REFERENCE + "run-g1.safetensors");
    float[] sigmas = run.values("sigmas");
    try (CudaBackend backend = open(precision);
        var weights = weights(MODEL + "transformer", backend);
        Ops ops = backend.newOps("test")) {
      Denoiser model = Denoisers.load(weights, config(weights));
      for (int prompt = 0; prompt < 6; prompt++) {
        Conditioning given =
            model.condition(
                List.of(
                    tensor(inputs, prompt + ".text_embeds", ops),
                    tensor(inputs, "negative.text_embeds", ops)),
                8,
                8,
                ops);
        Tensor latents = tensor(inputs, prompt + ".initial_latents", ops);
        float[] all = run.values(prompt + ".latents");
        for (int step = 0; step + 1 < sigmas.length; step++) {
          try (Region region = ops.region()) {
            Tensor both = model.predict(latents, sigmas[step], given, TrunkRunner.ALL, ops);
            Tensor velocity =
                model
                    .guidance()
                    .combine(both.rows(0, 1), both.rows(1, 2), GuidanceOptions.of(1), ops);
            float[] factors = {1, sigmas[step + 1] - sigmas[step]};
            latents = region.keep(ops.linearCombination(factors, List.of(latents, velocity)));
          }
          int size = latents.elements();
          assertNear(
              "prompt %d, step %d".formatted(prompt, step),
              precision,
              Arrays.copyOfRange(all, step * size, (step + 1) * size),
              ops.toHost(latents));
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Precision.class)
  void decodesTheReferencePictures(Precision precision) throws IOException {
    var run = Goldens.tensors(REFERENCE + "run-g0.safetensors");
    try (CudaBackend backend = open(precision);
        var weights = weights(MODEL + "vae", backend);
        Ops ops = backend.newOps("test")) {
      var vae = AutoencoderKl.decoder(weights, config(weights));
      for (int prompt = 0; prompt < 6; prompt++) {
        Tensor last = tensor(run, prompt + ".latents", ops).rows(19, 20);
        assertNear(
            "picture " + prompt,
            precision,
            run.values(prompt + ".image"),
            ops.toHost(ops.permute(vae.decode(last, ops), 0, 3, 1, 2)));
      }
    }
  }
}
