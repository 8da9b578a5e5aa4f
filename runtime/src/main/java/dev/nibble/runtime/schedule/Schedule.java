package dev.nibble.runtime.schedule;

import dev.nibble.runtime.tensor.Ops;
import dev.nibble.runtime.tensor.Tensor;
import java.util.Arrays;
import java.util.List;

/// The noise levels of one generation and the Euler steps between them. Immutable.
///
/// Latents at level sigma are `(1 - sigma) · picture + sigma · noise` (rectified flow, Liu et al.,
/// arXiv:2209.03003), so the velocity that a model predicts is `noise - picture`.
public final class Schedule {
  private final float[] sigmas;
  private final float[] timesteps;
  private final int first;

  /// @param sigmas one a step and the level after the last
  /// @param timesteps one a step
  Schedule(float[] sigmas, float[] timesteps) {
    this(sigmas, timesteps, 0);
  }

  private Schedule(float[] sigmas, float[] timesteps, int first) {
    this.sigmas = sigmas;
    this.timesteps = timesteps;
    this.first = first;
  }

  /// Steps that remain: all of them unless it starts {@link #from} a picture.
  public int steps() {
    return timesteps.length - first;
  }

  /// Noise levels, `[steps + 1]`; the last one is 0.
  public float[] sigmas() {
    return Arrays.copyOfRange(sigmas, first, sigmas.length);
  }

  /// The levels of the steps on the scale of the training's timesteps, `[steps]`.
  public float[] timesteps() {
    return Arrays.copyOfRange(timesteps, first, timesteps.length);
  }

  /// Noise level before a step.
  ///
  /// @param step from 0 to `steps`; at `steps` the level after the last
  public float sigma(int step) {
    return sigmas[first + step];
  }

  /// Timestep of a step.
  public float timestep(int step) {
    return timesteps[first + step];
  }

  /// The part of this schedule that redraws a picture: as diffusers' `ZImageImg2ImgPipeline`, it
  /// skips `floor(steps - steps · strength)` steps.
  ///
  /// @param strength above 0 and at most 1; 1 keeps every step
  /// @throws IllegalArgumentException if no step would remain
  public Schedule from(double strength) {
    if (!(strength > 0 && strength <= 1)) {
      throw new IllegalArgumentException("strength must be above 0 and at most 1, not " + strength);
    }
    int skipped = (int) (steps() - steps() * strength);
    if (skipped == steps()) {
      throw new IllegalArgumentException(
          "strength %s leaves none of %d steps; choose a greater one".formatted(strength, steps()));
    }
    return new Schedule(sigmas, timesteps, first + skipped);
  }

  /// Latents that the first step starts from: `sigma · noise + (1 - sigma) · latents`.
  ///
  /// @param latents of a picture, scaled as the model wants them
  /// @param noise standard normal, same shape
  public Tensor addNoise(Tensor latents, Tensor noise, Ops ops) {
    float sigma = sigma(0);
    return ops.linearCombination(new float[] {sigma, 1 - sigma}, List.of(noise, latents));
  }

  /// One Euler step: `x + (sigma(step + 1) - sigma(step)) · velocity`.
  ///
  /// @param x latents before the step
  /// @param velocity noise minus picture, as predicted; same shape
  public Tensor step(int step, Tensor x, Tensor velocity, Ops ops) {
    float delta = sigma(step + 1) - sigma(step);
    return ops.linearCombination(new float[] {1, delta}, List.of(x, velocity));
  }
}
