package dev.nibble.runtime.cache;

import com.fasterxml.jackson.databind.JsonNode;
import dev.nibble.fixtures.Fixtures;
import dev.nibble.runtime.Goldens;
import dev.nibble.runtime.cpu.CpuBackend;
import dev.nibble.runtime.models.Denoiser;
import dev.nibble.runtime.models.Denoiser.Conditioning;
import dev.nibble.runtime.models.GuidanceOptions;
import dev.nibble.runtime.models.qwenimage.QwenImageTransformer;
import dev.nibble.runtime.models.zimage.ZImageTransformer;
import dev.nibble.runtime.schedule.FlowMatchEuler;
import dev.nibble.runtime.schedule.Schedule;
import dev.nibble.runtime.tensor.Backend;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.weights.ComponentWeights;
import dev.nibble.runtime.weights.ModelConfig;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// The trained miniatures, run over prompts of `goldens/cache` as their generator ran them: text
/// embeddings and first latents are given, guidance is as the golden's `mode` says.
final class GoldenModels implements AutoCloseable {
  private static final int TOKENS = 16;

  private final Goldens.File inputs;
  private final Backend backend;
  private final FlowMatchEuler scheduler;
  private final ComponentWeights zImageWeights;
  private final ComponentWeights qwenWeights;
  private final Denoiser zImage;
  private final Denoiser qwen;

  /// @param latents after each step, `[16, 8, 8]`
  record Run(List<StepDecision> decisions, List<float[]> latents) {}

  GoldenModels(Goldens.File inputs) throws IOException {
    this(inputs, new CpuBackend());
  }

  /// @param backend closed with this
  GoldenModels(Goldens.File inputs, Backend backend) throws IOException {
    this.inputs = inputs;
    this.backend = backend;
    scheduler =
        FlowMatchEuler.open(Fixtures.path("models/emoji-zimage/scheduler/scheduler_config.json"));
    zImageWeights = open("models/emoji-zimage/transformer");
    qwenWeights = open("models/emoji-qwen/transformer-qwen");
    zImage = ZImageTransformer.load(zImageWeights, config(zImageWeights));
    qwen = QwenImageTransformer.load(qwenWeights, config(qwenWeights));
  }

  private ComponentWeights open(String fixture) throws IOException {
    return ComponentWeights.open(Fixtures.path(fixture), backend.newWeights(fixture));
  }

  private static ModelConfig config(ComponentWeights weights) {
    Path file = weights.path().resolve("config.json");
    return new ModelConfig(file, weights.config().orElseThrow());
  }

  Run run(JsonNode golden, StepCache rule) {
    int steps = golden.get("steps").asInt();
    String mode = golden.get("mode").asText();
    String prompt = golden.get("prompt").asText();
    GuidanceOptions guidance = GuidanceOptions.of(golden.path("scale").asDouble(0));
    Denoiser model = golden.get("model").asText().equals("qwen") ? qwen : zImage;
    Schedule schedule = scheduler.schedule(steps, TOKENS);
    try (Ops ops = backend.newOps("test")) {
      CacheRun run = rule.start(new CachePlan(steps, mode.equals("separate")), ops);
      Tensor positive = input(prompt + ".text_embeds", ops);
      Tensor negative = input("negative.text_embeds", ops);
      List<Conditioning> given =
          switch (mode) {
            case "single" -> List.of(model.condition(List.of(positive), 8, 8, ops));
            case "batched" -> List.of(model.condition(List.of(positive, negative), 8, 8, ops));
            default ->
                List.of(
                    model.condition(List.of(positive), 8, 8, ops),
                    model.condition(List.of(negative), 8, 8, ops));
          };
      Tensor latents = input(prompt + ".initial_latents", ops);
      List<float[]> all = new ArrayList<>();
      for (int step = 0; step < steps; step++) {
        try (Region region = ops.region()) {
          List<Tensor> velocities = new ArrayList<>();
          for (int call = 0; call < given.size(); call++) {
            Tensor velocity =
                model.predict(
                    latents,
                    schedule.sigma(step),
                    given.get(call),
                    run.runner(
                        step,
                        call == 0 ? GuidanceBranch.CONDITIONAL : GuidanceBranch.UNCONDITIONAL),
                    ops);
            for (int item = 0; item < velocity.dim(0); item++) {
              velocities.add(velocity.rows(item, item + 1));
            }
          }
          Tensor velocity =
              velocities.size() == 1
                  ? velocities.getFirst()
                  : model
                      .guidance()
                      .combine(velocities.getFirst(), velocities.getLast(), guidance, ops);
          latents = region.keep(schedule.step(step, latents, velocity, ops));
        }
        all.add(ops.toHost(latents));
      }
      return new Run(run.decisions(), all);
    }
  }

  private Tensor input(String name, Ops ops) {
    Goldens.Golden golden = inputs.get("input." + name);
    return ops.fromHost(golden.values(), golden.dims());
  }

  @Override
  public void close() {
    zImageWeights.close();
    qwenWeights.close();
    backend.close();
  }
}
