package dev.nibble.runtime;

import dev.nibble.runtime.cache.CachePlan;
import dev.nibble.runtime.cache.CacheRun;
import dev.nibble.runtime.cache.GuidanceBranch;
import dev.nibble.runtime.cache.StepDecision;
import dev.nibble.runtime.models.Denoiser.Conditioning;
import dev.nibble.runtime.models.Guidance;
import dev.nibble.runtime.schedule.Schedule;
import dev.nibble.runtime.tensor.AttentionBackend;
import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Region;
import dev.nibble.runtime.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/// Everything that one picture owns while it is drawn: its memory, its latents and the state of its
/// step cache. Gone when the picture is done, whatever happened.
final class Session implements AutoCloseable {
  private final LoadedPipeline pipeline;
  private final ResolvedRequest plan;
  private final Prompts prompts;
  private final Schedule schedule;
  private final int index;
  private final Ops ops;
  private final CacheRun cache;
  private final List<RuntimeReport.Step> steps = new ArrayList<>();

  /// @param prompts borrowed
  /// @param schedule of the steps that are left to do
  /// @param index of the picture in its request
  Session(
      LoadedPipeline pipeline,
      ResolvedRequest plan,
      Prompts prompts,
      Schedule schedule,
      AttentionBackend attention,
      int index) {
    this.pipeline = pipeline;
    this.plan = plan;
    this.prompts = prompts;
    this.schedule = schedule;
    this.index = index;
    ops = pipeline.backend().newOps("picture " + index, attention);
    boolean separate = plan.guided() && !pipeline.denoiser().guidance().batched();
    cache = plan.request().cache().start(new CachePlan(schedule.steps(), separate), ops);
  }

  /// Latents, `[1, C, h, w]`, from noise.
  ///
  /// @param start noise, or a picture's latents with noise
  Tensor denoise(Tensor start, StepListener listener, Cancellation cancellation) {
    Tensor latents = start;
    for (int step = 0; step < schedule.steps(); step++) {
      if (cancellation.isCancelled() || Thread.currentThread().isInterrupted()) {
        throw new GenerationCancelledException(step, schedule.steps());
      }
      long begin = System.nanoTime();
      int known = cache.decisions().size();
      Tensor next;
      try (Region region = ops.region()) {
        next = region.keep(schedule.step(step, latents, velocity(latents, step), ops));
      }
      ops.release(latents);
      latents = next;
      List<StepDecision> decisions = cache.decisions();
      report(step, begin, decisions.subList(known, decisions.size()), listener);
    }
    return latents;
  }

  private Tensor velocity(Tensor latents, int step) {
    float sigma = schedule.sigma(step);
    Guidance guidance = pipeline.denoiser().guidance();
    if (!plan.guided() || !guidance.activeAt(sigma, plan.guidance())) {
      return predict(latents, step, prompts.positive(), GuidanceBranch.CONDITIONAL);
    }
    if (guidance.batched()) {
      Tensor both = predict(latents, step, prompts.both(), GuidanceBranch.CONDITIONAL);
      return guidance.combine(both.rows(0, 1), both.rows(1, 2), plan.guidance(), ops);
    }
    Tensor positive = predict(latents, step, prompts.positive(), GuidanceBranch.CONDITIONAL);
    Tensor negative = predict(latents, step, prompts.negative(), GuidanceBranch.UNCONDITIONAL);
    return guidance.combine(positive, negative, plan.guidance(), ops);
  }

  private Tensor predict(Tensor latents, int step, Conditioning prompt, GuidanceBranch branch) {
    return pipeline
        .denoiser()
        .predict(latents, schedule.sigma(step), prompt, cache.runner(step, branch), ops);
  }

  private void report(int step, long begin, List<StepDecision> decisions, StepListener listener) {
    steps.add(new RuntimeReport.Step(schedule.sigma(step), System.nanoTime() - begin, decisions));
    listener.step(
        new StepListener.Progress(
            index,
            plan.request().count(),
            step,
            schedule.steps(),
            (int) decisions.stream().filter(StepDecision::computed).count(),
            decisions.size()));
  }

  Ops ops() {
    return ops;
  }

  /// The steps so far.
  List<RuntimeReport.Step> steps() {
    return List.copyOf(steps);
  }

  @Override
  public void close() {
    ops.close();
  }
}
