package dev.nibble.tools;

import dev.nibble.runtime.GenerationRequest;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/// The options of commands that draw a list of prompts to measure something.
@Command
final class PictureOptions {
  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Option(
      names = "--prompts",
      order = 1,
      required = true,
      paramLabel = "FILE",
      description = "A text file with a prompt a line.")
  private Path prompts;

  @Option(
      names = "--steps",
      order = 3,
      paramLabel = "N",
      description = "Denoising steps (default: the pipeline's).")
  private Optional<Integer> steps = Optional.empty();

  @Option(
      names = "--guidance",
      order = 4,
      paramLabel = "G",
      description = "Strength of guidance (default: the pipeline's).")
  private Optional<Double> guidance = Optional.empty();

  @Option(
      names = "--seed",
      order = 7,
      paramLabel = "S",
      description = "Seed of the first prompt's noise (default 0); the next one's is S+1.")
  private long seed;

  @Option(
      names = "--size",
      order = 8,
      paramLabel = "WxH",
      description = "Size in pixels (default: the pipeline's).")
  private Optional<PictureSize> size = Optional.empty();

  /// @param leastSteps that the command can measure with
  /// @throws ParameterException naming an option that can't be so
  void requireSense(CommandSpec spec, int leastSteps) {
    if (steps.orElse(leastSteps) < leastSteps) {
      throw new ParameterException(
          spec.commandLine(),
          "--steps takes %d or more here, not %d".formatted(leastSteps, steps.get()));
    }
    double strength = guidance.orElse(0.0);
    if (!(strength >= 0 && Double.isFinite(strength))) {
      throw new ParameterException(
          spec.commandLine(), "--guidance takes a number from 0, not " + strength);
    }
  }

  Path prompts() {
    return prompts;
  }

  /// The prompts in the file, at least one.
  List<String> texts() throws IOException {
    return PromptFile.read(prompts);
  }

  Optional<Integer> steps() {
    return steps;
  }

  Optional<Double> guidance() {
    return guidance;
  }

  long seed() {
    return seed;
  }

  Optional<PictureSize> size() {
    return size;
  }

  /// The request for a prompt.
  ///
  /// @param index of the prompt in the list
  GenerationRequest request(String text, int index) {
    GenerationRequest request = GenerationRequest.of(text).withSeed(seed + index);
    if (steps.isPresent()) {
      request = request.withSteps(steps.get());
    }
    if (guidance.isPresent()) {
      request = request.withGuidance(guidance.get());
    }
    return size.isPresent() ? request.withSize(size.get().width(), size.get().height()) : request;
  }
}
