package dev.nibble.runtime;

import dev.nibble.runtime.cache.StepDecision;
import java.util.List;

/// What a generation took.
///
/// @param backend where it ran
/// @param components models that took part, in order of use
/// @param cache the step cache's rule, as `--cache` takes it
/// @param textNanos time of the text encoder
/// @param images what each picture took
public record RuntimeReport(
    String backend, List<Component> components, String cache, long textNanos, List<Image> images) {
  public RuntimeReport {
    components = List.copyOf(components);
    images = List.copyOf(images);
  }

  /// A model in memory.
  ///
  /// @param name such as `transformer`
  /// @param path directory or file
  /// @param weights how its matrices are held, such as `nf4 x 56, bf16 x 12`
  /// @param weightBytes bytes that its weights hold, quantized ones quantized
  public record Component(String name, String path, String weights, long weightBytes) {}

  /// One picture.
  ///
  /// @param denoiseNanos time of all steps
  /// @param decodeNanos time of the autoencoder
  /// @param steps each step
  public record Image(long denoiseNanos, long decodeNanos, List<Step> steps) {
    public Image {
      steps = List.copyOf(steps);
    }

    /// Calls of the transformer that computed every block.
    public long computed() {
      return steps.stream()
          .flatMap(step -> step.decisions().stream())
          .filter(StepDecision::computed)
          .count();
    }

    /// Calls of the transformer.
    public long calls() {
      return steps.stream().mapToLong(step -> step.decisions().size()).sum();
    }
  }

  /// One step.
  ///
  /// @param sigma noise level that it began at
  /// @param nanos time it took
  /// @param decisions of the step cache, one a call of the transformer
  public record Step(float sigma, long nanos, List<StepDecision> decisions) {
    public Step {
      decisions = List.copyOf(decisions);
    }
  }
}
