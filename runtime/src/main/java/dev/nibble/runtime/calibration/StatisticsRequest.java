package dev.nibble.runtime.calibration;

import dev.nibble.runtime.GenerationRequest;
import java.util.List;

/// What to draw while a component is recorded. All there is to choose is chosen.
///
/// @param prompts a picture each, one or more
/// @param seed of the first prompt's noise; the next one's is one more
/// @param steps denoising steps
/// @param guidance strength of guidance, 0 for none
/// @param width in pixels
/// @param height in pixels
/// @param tool what records, such as `nibble 0.1.0`
public record StatisticsRequest(
    List<String> prompts,
    long seed,
    int steps,
    double guidance,
    int width,
    int height,
    String tool) {
  public StatisticsRequest {
    prompts = List.copyOf(prompts);
    if (prompts.isEmpty()) {
      throw new IllegalArgumentException("statistics of no prompt");
    }
  }

  GenerationRequest picture(int prompt) {
    return GenerationRequest.of(prompts.get(prompt))
        .withSeed(seed + prompt)
        .withSteps(steps)
        .withGuidance(guidance)
        .withSize(width, height);
  }
}
