package dev.nibble.runtime;

import dev.nibble.runtime.models.Denoiser;
import dev.nibble.runtime.models.Denoiser.Conditioning;
import dev.nibble.runtime.tensor.AttentionBackend;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.text.qwen3.Qwen3Prompt;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// A request's prompts as the transformer takes them. Owns their memory; any number of sessions of
/// the request may read it.
final class Prompts implements AutoCloseable {
  private final Ops ops;
  private final Conditioning positive;
  private final Optional<Conditioning> negative;
  private final Optional<Conditioning> both;

  private Prompts(
      Ops ops,
      Conditioning positive,
      Optional<Conditioning> negative,
      Optional<Conditioning> both) {
    this.ops = ops;
    this.positive = positive;
    this.negative = negative;
    this.both = both;
  }

  static Prompts encode(LoadedPipeline pipeline, ResolvedRequest plan, AttentionBackend attention) {
    Ops ops = pipeline.backend().newOps("prompts", attention);
    try {
      Denoiser denoiser = pipeline.denoiser();
      int height = plan.height() / pipeline.vae().compression();
      int width = plan.width() / pipeline.vae().compression();
      List<Tensor> features = new ArrayList<>();
      features.add(features(pipeline, plan.request().prompt(), ops));
      if (plan.guided()) {
        features.add(features(pipeline, plan.request().negative().orElse(""), ops));
      }
      boolean batched = denoiser.guidance().batched();
      return new Prompts(
          ops,
          denoiser.condition(features.subList(0, 1), height, width, ops),
          plan.guided() && !batched
              ? Optional.of(denoiser.condition(features.subList(1, 2), height, width, ops))
              : Optional.empty(),
          plan.guided() && batched
              ? Optional.of(denoiser.condition(features, height, width, ops))
              : Optional.empty());
    } catch (Throwable e) {
      ops.close();
      throw e;
    }
  }

  private static Tensor features(LoadedPipeline pipeline, String prompt, Ops ops) {
    return pipeline.textEncoder().encode(Qwen3Prompt.tokens(pipeline.tokenizer(), prompt), ops);
  }

  /// The prompt alone.
  Conditioning positive() {
    return positive;
  }

  /// The negative prompt alone, where guidance calls twice.
  Conditioning negative() {
    return negative.orElseThrow();
  }

  /// Prompt and negative prompt, where guidance calls once.
  Conditioning both() {
    return both.orElseThrow();
  }

  @Override
  public void close() {
    ops.close();
  }
}
