package dev.nibble.runtime;

import java.util.List;

/// What a request that names nothing else gets: the values of the family's diffusers pipeline, or
/// those of `nibble.json` in the pipeline's directory, a JSON object with any of the keys `steps`,
/// `guidance`, `width` and `height`.
///
/// @param steps denoising steps
/// @param guidance strength of guidance
/// @param width in pixels
/// @param height in pixels
public record GenerationDefaults(int steps, double guidance, int width, int height) {
  static final List<String> NAMES = List.of("steps", "guidance", "width", "height");
}
