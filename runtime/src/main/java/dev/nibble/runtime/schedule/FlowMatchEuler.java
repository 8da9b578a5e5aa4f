package dev.nibble.runtime.schedule;

import dev.nibble.formats.io.JsonFile;
import dev.nibble.runtime.weights.ModelConfig;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalDouble;

/// Noise levels of diffusers' `FlowMatchEulerDiscreteScheduler`, bit for bit.
///
/// Levels spaced evenly ({@link Spacing}) are shifted towards noise, after "Scaling Rectified Flow
/// Transformers" (Esser et al., arXiv:2403.03206, section 5.3.2), and then may be stretched to end
/// at `shiftTerminal`. Levels are rounded to float32 before the shift, and all that follows is
/// float32.
///
/// @param trainTimesteps factor from levels to timesteps
/// @param shift how levels are shifted
/// @param shiftTerminal level of the last step, if they are stretched
public record FlowMatchEuler(int trainTimesteps, Shift shift, OptionalDouble shiftTerminal) {
  private static final List<String> UNSUPPORTED =
      List.of(
          "use_karras_sigmas",
          "use_exponential_sigmas",
          "use_beta_sigmas",
          "invert_sigmas",
          "stochastic_sampling");

  /// The levels that are shifted.
  public enum Spacing {
    /// From 1 to 1/steps in float32 as `torch.linspace`: Z-Image.
    FLOAT32,
    /// From 1 to 1/steps in float64 as `numpy.linspace`, rounded to float32: FLUX, Qwen-Image.
    FLOAT64
  }

  /// From level to level.
  public sealed interface Shift {
    /// `f · sigma / (1 + (f - 1) · sigma)`.
    record Fixed(double factor) implements Shift {}

    /// By the size of the picture: `m / (m + 1 / sigma - 1)`, where m is e^mu if `exponential`, mu
    /// otherwise, and mu goes in a line through `(baseTokens, baseShift)` and `(maxTokens,
    /// maxShift)`.
    record Dynamic(
        double baseShift, double maxShift, int baseTokens, int maxTokens, boolean exponential)
        implements Shift {
      double weight(int imageTokens) {
        double slope = (maxShift - baseShift) / (maxTokens - baseTokens);
        double mu = imageTokens * slope + (baseShift - slope * baseTokens);
        return exponential ? Math.exp(mu) : mu;
      }
    }
  }

  /// Reads `scheduler_config.json`.
  ///
  /// @throws dev.nibble.formats.FormatException if it doesn't describe such a scheduler
  /// @throws dev.nibble.formats.UnsupportedException if it asks for another kind of levels
  public static FlowMatchEuler open(Path file) throws IOException {
    return of(new ModelConfig(file, JsonFile.object(file)));
  }

  private static FlowMatchEuler of(ModelConfig config) {
    config.require("_class_name", "FlowMatchEulerDiscreteScheduler");
    for (String option : UNSUPPORTED) {
      config.require(option, false);
    }
    double terminal = config.number("shift_terminal", 0); // diffusers takes 0 for none, too
    return new FlowMatchEuler(
        config.count("num_train_timesteps", 1000),
        shift(config),
        terminal == 0 ? OptionalDouble.empty() : OptionalDouble.of(terminal));
  }

  private static Shift shift(ModelConfig config) {
    if (!config.flag("use_dynamic_shifting", false)) {
      return new Shift.Fixed(config.number("shift", 1));
    }
    boolean linear = config.text("time_shift_type").equals("linear");
    config.require("time_shift_type", linear ? "linear" : "exponential");
    int baseTokens = config.count("base_image_seq_len", 256);
    int maxTokens = config.count("max_image_seq_len", 4096);
    if (baseTokens == maxTokens) {
      throw config.wrong("max_image_seq_len above base_image_seq_len", "both " + maxTokens);
    }
    return new Shift.Dynamic(
        config.number("base_shift", 0.5),
        config.number("max_shift", 1.15),
        baseTokens,
        maxTokens,
        !linear);
  }

  /// The schedule of a pipeline that spaces levels as Z-Image.
  ///
  /// @param imageTokens tokens of the picture, which a dynamic shift depends on
  public Schedule schedule(int steps, int imageTokens) {
    return schedule(Spacing.FLOAT32, steps, imageTokens);
  }

  /// The levels and timesteps of a generation.
  ///
  /// @param imageTokens tokens of the picture, which a dynamic shift depends on
  public Schedule schedule(Spacing spacing, int steps, int imageTokens) {
    if (steps < 1) {
      throw new IllegalArgumentException("steps must be 1 or more, not " + steps);
    }
    if (steps == 1 && shiftTerminal.isPresent()) {
      throw new IllegalArgumentException(
          "this scheduler sets the level of the last step (shift_terminal): use 2 steps or more");
    }
    float[] even =
        switch (spacing) {
          case FLOAT32 -> Linspace.float32(1, 1.0 / steps, steps);
          case FLOAT64 -> Linspace.float64(1, 1.0 / steps, steps);
        };
    float[] sigmas = Arrays.copyOf(stretched(shifted(even, imageTokens)), steps + 1);
    float[] timesteps = new float[steps];
    for (int i = 0; i < steps; i++) {
      timesteps[i] = sigmas[i] * trainTimesteps;
    }
    return new Schedule(sigmas, timesteps);
  }

  private float[] shifted(float[] sigmas, int imageTokens) {
    float[] shifted = new float[sigmas.length];
    switch (shift) {
      case Shift.Fixed(double factor) -> {
        float less = (float) (factor - 1);
        for (int i = 0; i < sigmas.length; i++) {
          shifted[i] = (float) factor * sigmas[i] / (1 + less * sigmas[i]);
        }
      }
      case Shift.Dynamic dynamic -> {
        float weight = (float) dynamic.weight(imageTokens);
        for (int i = 0; i < sigmas.length; i++) {
          shifted[i] = weight / (weight + (1 / sigmas[i] - 1));
        }
      }
    }
    return shifted;
  }

  private float[] stretched(float[] sigmas) {
    if (shiftTerminal.isEmpty()) {
      return sigmas;
    }
    float scale = (1 - sigmas[sigmas.length - 1]) / (float) (1 - shiftTerminal.getAsDouble());
    float[] stretched = new float[sigmas.length];
    for (int i = 0; i < sigmas.length; i++) {
      stretched[i] = 1 - (1 - sigmas[i]) / scale;
    }
    return stretched;
  }
}
