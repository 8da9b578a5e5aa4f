package dev.nibble.tools;

import dev.nibble.converter.internal.Version;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.io.IoErrors;
import dev.nibble.formats.io.PendingOutput;
import dev.nibble.runtime.GenerationRequest;
import dev.nibble.runtime.PipelineOptions;
import dev.nibble.tools.EvaluationRun.Candidate;
import dev.nibble.tools.report.Evaluation;
import dev.nibble.tools.report.EvaluationHtml;
import dev.nibble.tools.report.EvaluationJson;
import dev.nibble.tools.report.EvaluationPrinter;
import dev.nibble.tools.report.LayerErrors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/// `nibble evaluate`: what quantized transformers do to the pictures of a pipeline.
@Command(
    name = "evaluate",
    description = {
      "Measures on pictures what quantizing a transformer costs.",
      "Draws each prompt with the pipeline as it is and with each variant's",
      "transformer in its place, and compares: final latents, PSNR, SSIM, and a",
      "distance of the features of the pipeline's own encoder."
    },
    sortOptions = false,
    footer = {
      "",
      "Example:",
      "  nibble evaluate Z-Image/ --prompts prompts.txt --variant nf4=Z-Image-nf4/ \\",
      "      --variant int8=Z-Image-int8/ --html report.html"
    })
final class EvaluateCommand implements Callable<Integer> {
  private final Session session;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Spec
  private CommandSpec spec;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Parameters(
      index = "0",
      paramLabel = "DIR",
      description = "A pipeline: a directory with model_index.json; the reference.")
  private Path directory;

  @Option(
      names = "--variant",
      order = 2,
      required = true,
      paramLabel = "NAME=PATH",
      description =
          "A transformer to measure, as quantize wrote it, and its name in the report. Repeat;"
              + " ratios are to the first.")
  private List<String> variants = new ArrayList<>();

  @Option(
      names = "--layers",
      order = 2,
      paramLabel = "NAME=JSON",
      description =
          "What quantize --stats --json printed of this variant: its layers' output errors go into"
              + " the report, too.")
  private List<String> layers = new ArrayList<>();

  @Option(
      names = "--html",
      order = 20,
      paramLabel = "FILE",
      description = "Also write a page with all numbers and the pictures side by side.")
  private Optional<Path> html = Optional.empty();

  @Option(names = "--force", order = 24, description = "Replace a page that exists.")
  private boolean force;

  @Option(
      names = {"-q", "--quiet"},
      order = 41,
      description = "Print nothing but errors.")
  private boolean quiet;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Mixin
  private PictureOptions pictures;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Mixin
  private PipelineFlags pipeline;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Mixin
  private CommonOptions common;

  EvaluateCommand(Session session) {
    this.session = session;
  }

  @Override
  public Integer call() throws IOException {
    requireSense();
    PipelineOptions options = pipeline.options(spec);
    List<Candidate> candidates = candidates();
    List<String> texts = pictures.texts();
    if (html.isPresent()) {
      try (PendingOutput page = PendingOutput.file(html.get(), force)) {
        Evaluation evaluation = evaluate(options, texts, candidates);
        write(page, evaluation);
        print(evaluation);
      }
    } else {
      print(evaluate(options, texts, candidates));
    }
    return 0;
  }

  private void requireSense() {
    pictures.requireSense(spec, 1);
    require(
        html.isEmpty() || html.get().toString().endsWith(".html"),
        "--html takes X.html, not " + html.map(Path::toString).orElse(""));
  }

  private void require(boolean holds, String message) {
    if (!holds) {
      throw new ParameterException(spec.commandLine(), message);
    }
  }

  private List<Candidate> candidates() throws IOException {
    SequencedMap<String, String> paths = named("--variant", variants);
    require(
        !paths.containsKey(EvaluationRun.REFERENCE),
        "--variant %s=...: the pipeline itself has this name: choose another"
            .formatted(EvaluationRun.REFERENCE));
    SequencedMap<String, String> reports = named("--layers", layers);
    for (String name : reports.keySet()) {
      require(paths.containsKey(name), "--layers " + name + "=...: no --variant has this name");
    }
    List<Candidate> candidates = new ArrayList<>();
    for (Map.Entry<String, String> variant : paths.entrySet()) {
      Optional<String> report = Optional.ofNullable(reports.get(variant.getKey()));
      candidates.add(
          new Candidate(
              variant.getKey(),
              existing(variant.getValue()),
              report.isPresent()
                  ? Optional.of(LayerErrors.read(Path.of(report.get())))
                  : Optional.empty()));
    }
    return candidates;
  }

  /// The values of an option that takes `NAME=VALUE`, by name.
  private SequencedMap<String, String> named(String option, List<String> given) {
    SequencedMap<String, String> values = new LinkedHashMap<>();
    for (String text : given) {
      int sign = text.indexOf('=');
      require(
          sign > 0 && !text.substring(sign + 1).isBlank(),
          "%s takes NAME=PATH, such as nf4=Z-Image-nf4, not %s".formatted(option, text));
      String name = text.substring(0, sign);
      require(
          values.putIfAbsent(name, text.substring(sign + 1)) == null,
          "%s %s is given twice: give each a name of its own".formatted(option, name));
    }
    return values;
  }

  private static Path existing(String variant) {
    Path path = Path.of(variant);
    if (!Files.exists(path)) {
      throw new NibbleException(
          path + ": no such file or directory: name what quantize wrote with -o");
    }
    return path;
  }

  private Evaluation evaluate(
      PipelineOptions options, List<String> texts, List<Candidate> candidates) throws IOException {
    GenerationRequest request = pictures.request(texts.getFirst(), 0);
    return new EvaluationRun(session, quiet, directory, options, request, texts)
        .evaluate(candidates);
  }

  private void write(PendingOutput page, Evaluation evaluation) throws IOException {
    String text =
        EvaluationHtml.of(
            evaluation, spec.commandLine().getParseResult().originalArgs(), Version.current());
    try {
      Files.writeString(page.path(), text);
    } catch (IOException e) {
      throw IoErrors.at(page.target(), e);
    }
    page.commit();
  }

  private void print(Evaluation evaluation) throws IOException {
    if (common.json) {
      new EvaluationJson(evaluation).print(pictures.prompts(), html, session.out());
    } else if (!quiet) {
      new EvaluationPrinter(evaluation).print(html, session.out());
    }
  }
}
