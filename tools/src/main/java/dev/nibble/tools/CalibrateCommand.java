package dev.nibble.tools;

import java.io.IOException;
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

/// `nibble calibrate`: the numbers of a model that step caches need, or those that quantization
/// does.
@Command(
    name = "calibrate",
    description = {
      "Measures a model while it draws a list of prompts. What it writes, the name says:",
      "X.json: TeaCache's coefficients and MagCache's ratios, which are of this model",
      "and, the ratios, of this number of steps. Draws each prompt twice.",
      "X.safetensors: statistics of what each linear layer is given, for `quantize --stats`.",
      "Interrupted, it goes on where it stopped when the same command is given again."
    },
    sortOptions = false,
    footer = {
      "",
      "Examples:",
      "  nibble calibrate Z-Image/ --prompts prompts.txt -o numbers.json",
      "  nibble generate Z-Image/ -p fox --cache teacache:coefficients=numbers.json",
      "  nibble calibrate Z-Image/ --prompts prompts.txt -o stats.safetensors"
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
      paramLabel = "OUT",
      description = "X.json (default coefficients.json) or X.safetensors.")
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
  private StatisticsOptions statistics;

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
    boolean records = output.toString().endsWith(".safetensors");
    int least = records ? 1 : 2;
    require(
        steps.orElse(least) >= least,
        "--steps takes %d or more here, not %d".formatted(least, steps.orElse(least)));
    require(
        guidance.orElse(0.0) >= 0 && Double.isFinite(guidance.orElse(0.0)),
        "--guidance takes a number from 0, not " + guidance.orElse(0.0));
    require(
        records || output.toString().endsWith(".json"),
        "--output takes X.json or X.safetensors, not " + output);
    statistics.requireSense(spec, records);
    var options = pipeline.options(spec);
    CalibrationJob job =
        new CalibrationJob(
            directory,
            prompts,
            PromptFile.read(prompts),
            steps,
            guidance,
            seed,
            size,
            output,
            quiet,
            common.json);
    try (PictureFiles places = PictureFiles.reserve(List.of(output), Optional.of(prompts), force)) {
      if (records) {
        new StatisticsCalibration(session, job, statistics).run(options, places);
      } else {
        new CacheCalibration(session, job).run(options, places);
      }
    }
    return 0;
  }

  private void require(boolean holds, String message) {
    if (!holds) {
      throw new ParameterException(spec.commandLine(), message);
    }
  }
}
