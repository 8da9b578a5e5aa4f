package dev.nibble.runtime;

import dev.nibble.runtime.cache.NoCache;
import dev.nibble.runtime.cache.StepCache;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;

/// What to draw and how. What is left empty takes the pipeline's {@link GenerationDefaults}.
///
/// ```java
/// GenerationRequest.of("red apple").withSeed(7).withSteps(20)
/// ```
///
/// @param prompt what to draw
/// @param negative what to stay away from where guidance is on; the empty prompt if empty
/// @param steps denoising steps
/// @param guidance strength of guidance: `guidance_scale` of Z-Image, `true_cfg_scale` of
///   Qwen-Image
/// @param guidanceNormalization Z-Image's `cfg_normalization`, 0 for none
/// @param guidanceTruncation Z-Image's `cfg_truncation`, 1 for none
/// @param seed of the noise, as `torch.Generator("cpu").manual_seed(seed)` takes it
/// @param width of the picture in pixels
/// @param height of the picture in pixels
/// @param count pictures, drawn from one noise of `[count, C, h, w]`
/// @param cache which steps reuse what earlier ones computed
/// @param initial picture to start from instead of noise alone
public record GenerationRequest(
    String prompt,
    Optional<String> negative,
    OptionalInt steps,
    OptionalDouble guidance,
    double guidanceNormalization,
    double guidanceTruncation,
    long seed,
    OptionalInt width,
    OptionalInt height,
    int count,
    StepCache cache,
    Optional<InitialImage> initial) {
  public GenerationRequest {
    check(steps.isEmpty() || steps.getAsInt() >= 1, "steps", "1 or more", steps);
    check(guidance.isEmpty() || guidance.getAsDouble() >= 0, "guidance", "0 or more", guidance);
    check(guidanceNormalization >= 0, "guidance normalization", "0 or more", guidanceNormalization);
    check(count >= 1, "count", "1 or more", count);
    check(width.isEmpty() || width.getAsInt() >= 1, "width", "1 or more", width);
    check(height.isEmpty() || height.getAsInt() >= 1, "height", "1 or more", height);
  }

  private static void check(boolean holds, String name, String wanted, Object found) {
    if (!holds) {
      throw new IllegalArgumentException(name + " must be " + wanted + ", not " + found);
    }
  }

  /// One picture of the prompt with seed 0, everything else by default.
  public static GenerationRequest of(String prompt) {
    return new GenerationRequest(
        prompt,
        Optional.empty(),
        OptionalInt.empty(),
        OptionalDouble.empty(),
        0,
        1,
        0,
        OptionalInt.empty(),
        OptionalInt.empty(),
        1,
        new NoCache(),
        Optional.empty());
  }

  /// This request with another prompt.
  public GenerationRequest withPrompt(String value) {
    return new GenerationRequest(
        value,
        negative,
        steps,
        guidance,
        guidanceNormalization,
        guidanceTruncation,
        seed,
        width,
        height,
        count,
        cache,
        initial);
  }

  /// This request with a negative prompt.
  public GenerationRequest withNegative(String value) {
    return new GenerationRequest(
        prompt,
        Optional.of(value),
        steps,
        guidance,
        guidanceNormalization,
        guidanceTruncation,
        seed,
        width,
        height,
        count,
        cache,
        initial);
  }

  /// This request with a number of steps.
  public GenerationRequest withSteps(int value) {
    return new GenerationRequest(
        prompt,
        negative,
        OptionalInt.of(value),
        guidance,
        guidanceNormalization,
        guidanceTruncation,
        seed,
        width,
        height,
        count,
        cache,
        initial);
  }

  /// This request with a strength of guidance; 0 for none.
  public GenerationRequest withGuidance(double value) {
    return new GenerationRequest(
        prompt,
        negative,
        steps,
        OptionalDouble.of(value),
        guidanceNormalization,
        guidanceTruncation,
        seed,
        width,
        height,
        count,
        cache,
        initial);
  }

  /// This request with limits to guidance.
  ///
  /// @param normalization `cfg_normalization`, 0 for none
  /// @param truncation `cfg_truncation`, 1 for none
  public GenerationRequest withGuidanceLimits(double normalization, double truncation) {
    return new GenerationRequest(
        prompt,
        negative,
        steps,
        guidance,
        normalization,
        truncation,
        seed,
        width,
        height,
        count,
        cache,
        initial);
  }

  /// This request with a seed.
  public GenerationRequest withSeed(long value) {
    return new GenerationRequest(
        prompt,
        negative,
        steps,
        guidance,
        guidanceNormalization,
        guidanceTruncation,
        value,
        width,
        height,
        count,
        cache,
        initial);
  }

  /// This request with a size in pixels.
  public GenerationRequest withSize(int newWidth, int newHeight) {
    return new GenerationRequest(
        prompt,
        negative,
        steps,
        guidance,
        guidanceNormalization,
        guidanceTruncation,
        seed,
        OptionalInt.of(newWidth),
        OptionalInt.of(newHeight),
        count,
        cache,
        initial);
  }

  /// This request for several pictures.
  public GenerationRequest withCount(int value) {
    return new GenerationRequest(
        prompt,
        negative,
        steps,
        guidance,
        guidanceNormalization,
        guidanceTruncation,
        seed,
        width,
        height,
        value,
        cache,
        initial);
  }

  /// This request with a step cache.
  public GenerationRequest withCache(StepCache value) {
    return new GenerationRequest(
        prompt,
        negative,
        steps,
        guidance,
        guidanceNormalization,
        guidanceTruncation,
        seed,
        width,
        height,
        count,
        value,
        initial);
  }

  /// This request starting from a picture.
  public GenerationRequest withInitial(InitialImage value) {
    return new GenerationRequest(
        prompt,
        negative,
        steps,
        guidance,
        guidanceNormalization,
        guidanceTruncation,
        seed,
        width,
        height,
        count,
        cache,
        Optional.of(value));
  }
}
