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
  private PictureOptions pictures;

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
    pictures.requireSense(spec, records ? 1 : 2);
    require(
        records || output.toString().endsWith(".json"),
        "--output takes X.json or X.safetensors, not " + output);
    statistics.requireSense(spec, records);
    var options = pipeline.options(spec);
    CalibrationJob job =
        new CalibrationJob(directory, pictures, pictures.texts(), output, quiet, common.json);
    try (PictureFiles places =
        PictureFiles.reserve(List.of(output), Optional.of(pictures.prompts()), force)) {
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
