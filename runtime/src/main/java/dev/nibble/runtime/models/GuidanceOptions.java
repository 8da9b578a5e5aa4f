package dev.nibble.runtime.models;

/// Strength of guidance.
///
/// @param scale `guidance_scale` of Z-Image, `true_cfg_scale` of Qwen-Image
/// @param normalization Z-Image's `cfg_normalization`: the largest ratio of the norm of the guided
///   prediction to that of the conditional one; 0 for no limit
/// @param truncation Z-Image's `cfg_truncation`: no guidance where 1 - sigma is above it
public record GuidanceOptions(double scale, double normalization, double truncation) {
  /// Guidance of a scale alone.
  public static GuidanceOptions of(double scale) {
    return new GuidanceOptions(scale, 0, 1);
  }
}
