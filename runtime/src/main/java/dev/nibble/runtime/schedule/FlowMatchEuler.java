package dev.nibble.runtime.schedule;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.FormatException.Where;
import dev.nibble.formats.UnsupportedException;
import dev.nibble.formats.io.JsonFile;
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
  private static final String CLASS = "FlowMatchEulerDiscreteScheduler";

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
  /// @throws FormatException if it doesn't describe such a scheduler
  /// @throws UnsupportedException if it asks for another kind of levels
  public static FlowMatchEuler open(Path file) throws IOException {
    return of(JsonFile.object(file), file);
  }

  private static FlowMatchEuler of(ObjectNode json, Path file) {
    var config = new SchedulerConfig(json, file);
    String name = json.path("_class_name").asText(CLASS);
    if (!name.equals(CLASS)) {
      throw new UnsupportedException(
          file.toString(), "scheduler '%s' can't be run: nibble runs %s".formatted(name, CLASS));
    }
    for (String option :
        List.of(
            "use_karras_sigmas",
            "use_exponential_sigmas",
            "use_beta_sigmas",
            "invert_sigmas",
            "stochastic_sampling")) {
      if (config.flag(option)) {
        throw new UnsupportedException(
            file.toString(), "%s can't be used: set it to false".formatted(option));
      }
    }
    OptionalDouble terminal = config.optionalNumber("shift_terminal");
    if (terminal.isPresent() && terminal.getAsDouble() == 0) {
      terminal = OptionalDouble.empty(); // as diffusers, to which 0 is not set
    }
    return new FlowMatchEuler(
        config.size("num_train_timesteps", 1000), shift(config, json, file), terminal);
  }

  private static Shift shift(SchedulerConfig config, ObjectNode json, Path file) {
    if (!config.flag("use_dynamic_shifting")) {
      return new Shift.Fixed(config.number("shift", 1));
    }
    String type = json.path("time_shift_type").asText("exponential");
    if (!type.equals("exponential") && !type.equals("linear")) {
      throw new FormatException(
          Where.in(file), "time_shift_type 'exponential' or 'linear'", "'" + type + "'");
    }
    int baseTokens = config.size("base_image_seq_len", 256);
    int maxTokens = config.size("max_image_seq_len", 4096);
    if (baseTokens == maxTokens) {
      throw new FormatException(
          Where.in(file), "max_image_seq_len above base_image_seq_len", "both " + maxTokens);
    }
    return new Shift.Dynamic(
        config.number("base_shift", 0.5),
        config.number("max_shift", 1.15),
        baseTokens,
        maxTokens,
        type.equals("exponential"));
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
