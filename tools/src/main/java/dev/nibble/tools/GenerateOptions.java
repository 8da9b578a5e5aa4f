package dev.nibble.tools;

import dev.nibble.runtime.GenerationRequest;
import dev.nibble.runtime.InitialImage;
import dev.nibble.runtime.PipelineOptions;
import dev.nibble.runtime.cache.StepCache;
import dev.nibble.runtime.cache.StepCaches;
import dev.nibble.runtime.image.Pictures;
import dev.nibble.runtime.image.RgbImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.Spec.Target;

/// The options of `generate` that say what to draw and with what.
@Command
final class GenerateOptions {
  private static final int MAX_COUNT = 1000;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Spec(Target.MIXEE)
  private CommandSpec spec;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Parameters(
      index = "0",
      paramLabel = "DIR",
      description = "A pipeline: a directory with model_index.json.")
  private Path directory;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Option(
      names = {"-p", "--prompt"},
      order = 1,
      required = true,
      paramLabel = "TEXT",
      description = "What to draw.")
  private String prompt;

  @Option(
      names = "--negative",
      order = 2,
      paramLabel = "TEXT",
      description = "What to stay away from; needs guidance.")
  private Optional<String> negative = Optional.empty();

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
      description = "Strength of guidance, 0 for none (default: the pipeline's).")
  private Optional<Double> guidance = Optional.empty();

  @Option(
      names = "--cfg-normalization",
      order = 5,
      paramLabel = "R",
      description = "Bound of the guided prediction's norm, as a multiple; 0 for none (default).")
  private double normalization;

  @Option(
      names = "--cfg-truncation",
      order = 6,
      paramLabel = "T",
      description = "Guide only up to this part of the way, 0 to 1 (default 1: all of it).")
  private double truncation = 1;

  @Option(
      names = "--seed",
      order = 7,
      paramLabel = "S",
      description = "Seed of the noise (default 0), as torch's CPU generator takes it.")
  private long seed;

  @Option(
      names = "--size",
      order = 8,
      paramLabel = "WxH",
      description = "Size in pixels, such as 1024x768 (default: the pipeline's).")
  private Optional<PictureSize> size = Optional.empty();

  @Option(
      names = "--count",
      order = 9,
      paramLabel = "N",
      description = "Pictures (default 1), named out-0.png, out-1.png, ...")
  private int count = 1;

  @Option(
      names = "--cache",
      order = 10,
      paramLabel = "SPEC",
      description =
          "Reuse what earlier steps computed: none (default), fbcache, dbcache, teacache, fora,"
              + " taylorseer, magcache; parameters as in dbcache:F=1,threshold=0.12.")
  private Optional<String> cache = Optional.empty();

  @Option(
      names = "--init-image",
      order = 11,
      paramLabel = "FILE",
      description = "Start from this PNG or JPEG picture instead of noise alone.")
  private Optional<Path> initialImage = Optional.empty();

  @Option(
      names = "--strength",
      order = 12,
      paramLabel = "S",
      description = "How much of --init-image to replace: above 0, up to 1 (default 0.6).")
  private Optional<Double> strength = Optional.empty();

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Mixin
  private PipelineFlags pipeline;

  Path directory() {
    return directory;
  }

  int count() {
    return count;
  }

  /// The rule that `--cache` names, if it was given.
  Optional<StepCache> cache() throws IOException {
    return cache.isPresent() ? Optional.of(parse(cache.get())) : Optional.empty();
  }

  private StepCache parse(String rule) throws IOException {
    try {
      return StepCaches.parse(rule);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), String.valueOf(e.getMessage()), e);
    }
  }

  /// Checks what can be checked before any file is touched.
  ///
  /// @throws ParameterException naming the option
  void requireSense() {
    require(steps.orElse(1) >= 1, "--steps takes 1 or more, not " + steps.orElse(1));
    require(
        guidance.orElse(0.0) >= 0 && Double.isFinite(guidance.orElse(0.0)),
        "--guidance takes a number from 0, not " + guidance.orElse(0.0));
    require(
        normalization >= 0 && Double.isFinite(normalization),
        "--cfg-normalization takes a number from 0, not " + normalization);
    require(
        truncation >= 0 && truncation <= 1,
        "--cfg-truncation takes a number from 0 to 1, not " + truncation);
    require(count >= 1 && count <= MAX_COUNT, "--count takes 1 to " + MAX_COUNT + ", not " + count);
    require(
        strength.isEmpty() || initialImage.isPresent(),
        "--strength belongs to --init-image: give both, or leave it out");
    double share = strength.orElse(1.0);
    require(share > 0 && share <= 1, "--strength takes a number above 0, up to 1, not " + share);
    pipeline();
  }

  private void require(boolean holds, String message) {
    if (!holds) {
      throw new ParameterException(spec.commandLine(), message);
    }
  }

  /// How to open the pipeline.
  PipelineOptions pipeline() {
    return pipeline.options(spec);
  }

  /// What to draw. Reads the picture of `--init-image`.
  ///
  /// @throws IOException if that can't be read; the message names it
  GenerationRequest request() throws IOException {
    GenerationRequest request =
        GenerationRequest.of(prompt)
            .withSeed(seed)
            .withCount(count)
            .withGuidanceLimits(normalization, truncation);
    if (negative.isPresent()) {
      request = request.withNegative(negative.get());
    }
    if (steps.isPresent()) {
      request = request.withSteps(steps.get());
    }
    if (guidance.isPresent()) {
      request = request.withGuidance(guidance.get());
    }
    if (size.isPresent()) {
      request = request.withSize(size.get().width(), size.get().height());
    }
    Optional<StepCache> rule = cache();
    if (rule.isPresent()) {
      request = request.withCache(rule.get());
    }
    return initialImage.isPresent() ? withInitial(request, initialImage.get()) : request;
  }

  private GenerationRequest withInitial(GenerationRequest request, Path file) throws IOException {
    RgbImage image = Pictures.read(file);
    PictureSize found = new PictureSize(image.width(), image.height());
    require(
        size.orElse(found).equals(found),
        "--init-image %s is %s and --size %s: scale the picture first, or leave --size out"
            .formatted(file, found, size.orElse(found)));
    return request
        .withSize(found.width(), found.height())
        .withInitial(new InitialImage(image, strength.orElse(0.6)));
  }

  /// The picture that `--init-image` names, which no output may replace.
  Optional<Path> initialImage() {
    return initialImage;
  }
}
