package dev.nibble.tools;

import dev.nibble.formats.NibbleException;
import dev.nibble.formats.io.IoErrors;
import dev.nibble.formats.io.PendingOutput;
import dev.nibble.runtime.GenerationRequest;
import dev.nibble.runtime.Pipeline;
import dev.nibble.runtime.PipelineOptions;
import dev.nibble.runtime.cache.MagCacheCalibration;
import dev.nibble.runtime.cache.StepCache;
import dev.nibble.runtime.cache.TeaCacheCalibration;
import dev.nibble.tools.report.Calibration;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/// `nibble calibrate`: the numbers of a model that TeaCache and MagCache need.
@Command(
    name = "calibrate",
    description = {
      "Measures a model for TeaCache and MagCache.",
      "Draws each prompt twice, and writes TeaCache's coefficients and MagCache's",
      "ratios, which are of this model and, the ratios, of this number of steps."
    },
    sortOptions = false,
    footer = {
      "",
      "Example:",
      "  nibble calibrate Z-Image/ --prompts prompts.txt -o numbers.json",
      "  nibble generate Z-Image/ -p fox --cache teacache:coefficients=numbers.json"
    })
final class CalibrateCommand implements Callable<Integer> {
  private final Session session;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Spec
  private CommandSpec spec;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Parameters(
      index = "0",
      paramLabel = "DIR",
      description = "A pipeline: a directory with model_index.json.")
  private Path directory;

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

  @Option(
      names = {"-o", "--output"},
      order = 20,
      paramLabel = "OUT.json",
      description = "The numbers (default coefficients.json).")
  private Path output = Path.of("coefficients.json");

  @Option(names = "--force", order = 24, description = "Replace an output that exists.")
  private boolean force;

  @Option(
      names = {"-q", "--quiet"},
      order = 41,
      description = "Print nothing but errors.")
  private boolean quiet;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Mixin
  private PipelineFlags pipeline;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Mixin
  private CommonOptions common;

  CalibrateCommand(Session session) {
    this.session = session;
  }

  @Override
  public Integer call() throws IOException {
    require(steps.orElse(2) >= 2, "--steps takes 2 or more here, not " + steps.orElse(2));
    require(
        guidance.orElse(0.0) >= 0 && Double.isFinite(guidance.orElse(0.0)),
        "--guidance takes a number from 0, not " + guidance.orElse(0.0));
    require(output.toString().endsWith(".json"), "--output takes X.json, not " + output);
    var options = pipeline.options(spec);
    List<String> texts = texts();
    TeaCacheCalibration tea = new TeaCacheCalibration();
    MagCacheCalibration mag = new MagCacheCalibration();
    try (PictureFiles places = PictureFiles.reserve(List.of(output), Optional.of(prompts), force)) {
      try (Pipeline opened = open(options)) {
        measure(opened, texts, tea, "for TeaCache");
        measure(opened, texts, mag, "for MagCache");
      }
      Calibration calibration =
          new Calibration(
              directory, prompts, texts.size(), tea.observations(), fit(tea), mag.ratios());
      write(places.of(output), calibration);
      places.commit();
      if (common.json) {
        calibration.json(output, session.out());
      } else if (!quiet) {
        calibration.print(output, session.out());
      }
    }
    return 0;
  }

  private void require(boolean holds, String message) {
    if (!holds) {
      throw new ParameterException(spec.commandLine(), message);
    }
  }

  private List<String> texts() throws IOException {
    List<String> texts;
    try {
      texts = Files.readAllLines(prompts).stream().filter(line -> !line.isBlank()).toList();
    } catch (IOException e) {
      throw IoErrors.at(prompts, e);
    }
    if (texts.isEmpty()) {
      throw new NibbleException(prompts + ": holds no prompt: write one a line");
    }
    return texts;
  }

  private Pipeline open(PipelineOptions options) throws IOException {
    try (StepBar bar = new StepBar(session, "", quiet)) {
      return Drawing.open(directory, options, bar, session);
    }
  }

  private void measure(Pipeline opened, List<String> texts, StepCache recorder, String label) {
    for (int i = 0; i < texts.size(); i++) {
      GenerationRequest request =
          GenerationRequest.of(texts.get(i)).withSeed(seed + i).withCache(recorder);
      if (steps.isPresent()) {
        request = request.withSteps(steps.get());
      }
      if (guidance.isPresent()) {
        request = request.withGuidance(guidance.get());
      }
      if (size.isPresent()) {
        request = request.withSize(size.get().width(), size.get().height());
      }
      String prompt = "%s, prompt %d/%d".formatted(label, i + 1, texts.size());
      try (StepBar bar = new StepBar(session, prompt, quiet)) {
        Drawing.draw(opened, request, bar, session);
      }
    }
  }

  private static List<Double> fit(TeaCacheCalibration tea) {
    try {
      return tea.fit().coefficients();
    } catch (IllegalStateException e) { // too few steps
      throw new NibbleException(String.valueOf(e.getMessage()), e);
    }
  }

  private static void write(PendingOutput place, Calibration calibration) throws IOException {
    try {
      Files.writeString(place.path(), calibration.file());
    } catch (IOException e) {
      throw IoErrors.at(place.target(), e);
    }
  }
}
