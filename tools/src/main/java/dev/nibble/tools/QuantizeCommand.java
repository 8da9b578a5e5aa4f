package dev.nibble.tools;

import dev.nibble.converter.ConversionPlan;
import dev.nibble.converter.ConversionReport;
import dev.nibble.converter.PipelineRequest;
import dev.nibble.converter.internal.Version;
import dev.nibble.tools.report.ComponentTable;
import dev.nibble.tools.report.HtmlReport;
import dev.nibble.tools.report.PlanPrinter;
import dev.nibble.tools.report.ReportJson;
import dev.nibble.tools.report.SummaryPrinter;
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
import picocli.CommandLine.Spec;

/// `nibble quantize`: options to a request, a plan, a run, and its report.
@Command(
    name = "quantize",
    description = "Quantizes a safetensors or GGUF checkpoint, or a whole pipeline.",
    sortOptions = false,
    customSynopsis = {
      "quantize MODEL (--nf4 | --fp4 | --int8 | --gguf MIX | --scheme S)",
      "                [--skip P]... [-o OUT] [options]",
      "quantize MODEL (SCHEME -o OUT)... [options]"
    },
    footer = {
      "",
      "Examples:",
      "  quantize model.safetensors --nf4 --skip img_mod",
      "  quantize transformer/ --int8 -o transformer-int8/",
      "  quantize transformer/ --gguf Q4_K_M -o model-Q4_K_M.gguf",
      "  quantize Z-Image/ --nf4 --component text_encoder=int8",
      "  quantize transformer/ --nf4 -o a/ --int8 -o b.safetensors",
      "  quantize model.safetensors --nf4 --scheme 'proj_out=int8' --dry-run",
      "  quantize transformer/ --nf4 --gptq --stats stats.safetensors"
    })
final class QuantizeCommand implements Callable<Integer> {
  private final Session session;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Spec
  private CommandSpec spec;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Mixin
  private QuantizeOptions options;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Mixin
  private CommonOptions common;

  @Option(
      names = "--dry-run",
      order = 40,
      description = "Print what would become of each tensor, and write nothing.")
  private boolean dryRun;

  @Option(
      names = {"-q", "--quiet"},
      order = 41,
      description = "Print nothing but errors.")
  private boolean quiet;

  @Option(
      names = {"-v", "--verbose"},
      order = 42,
      description = "Also list every tensor.")
  private boolean verbose;

  @Option(
      names = "--report",
      order = 43,
      paramLabel = "FILE.html",
      description = "Write a page with the sizes and the error of each layer.")
  private Optional<Path> report = Optional.empty();

  QuantizeCommand(Session session) {
    this.session = session;
  }

  @Override
  public Integer call() throws IOException {
    if (dryRun && report.isPresent()) {
      throw wrong("--report shows a result and --dry-run makes none: leave one of them out");
    }
    List<PipelineRequest> requests = options.requests(dryRun);
    if (report.isPresent() && requests.size() > 1) {
      throw wrong("--report shows one output: leave it out, or write the outputs one by one");
    }
    Optional<ReportFile> page = report.map(path -> new ReportFile(spec, path));
    page.ifPresent(ReportFile::requireWritable);
    Quantization quantization = Quantization.plan(requests);
    List<ConversionPlan> plans = quantization.plans();
    if (page.isPresent()) {
      page.get().requireFree(plans.getFirst());
    }
    if (dryRun) {
      showPlans(quantization);
      return 0;
    }
    List<ConversionReport> results;
    try (ProgressBar bar = new ProgressBar(session, quiet)) {
      results = quantization.run(bar, session.interruption().conversion());
    }
    if (page.isPresent()) {
      List<String> arguments = spec.commandLine().getParseResult().originalArgs();
      page.get().write(HtmlReport.of(results.getFirst(), arguments, Version.current()));
    }
    showResults(quantization, results);
    return 0;
  }

  private ParameterException wrong(String message) {
    return new ParameterException(spec.commandLine(), message);
  }

  private void showPlans(Quantization quantization) throws IOException {
    List<ConversionPlan> plans = quantization.plans();
    if (common.json) {
      printJson(quantization, plans.stream().map(ReportJson::of).toList());
    } else if (!quiet) {
      for (int i = 0; i < plans.size(); i++) {
        separate(i);
        quantization.components(i).ifPresent(this::print);
        new PlanPrinter(session.out(), session.outStyle()).print(plans.get(i));
      }
    }
    for (ConversionPlan plan : plans) {
      if (Files.exists(plan.target()) && !options.isForced()) {
        session.err().println("note: " + plan.target() + " exists: without --force it is kept");
      }
    }
  }

  private void showResults(Quantization quantization, List<ConversionReport> results)
      throws IOException {
    if (common.json) {
      printJson(quantization, results.stream().map(ReportJson::of).toList());
    } else if (!quiet) {
      for (int i = 0; i < results.size(); i++) {
        separate(i);
        quantization.components(i).ifPresent(this::print);
        new SummaryPrinter(session.out(), session.outStyle()).print(results.get(i), verbose);
      }
    }
  }

  private void printJson(Quantization quantization, List<ReportJson> reports) throws IOException {
    for (int i = 0; i < reports.size(); i++) {
      ReportJson report = reports.get(i);
      quantization.components(i).ifPresent(table -> table.addTo(report));
    }
    ReportJson.print(reports, session.out());
  }

  private void print(ComponentTable table) {
    table.print(session.out());
  }

  /// A line between the outputs.
  private void separate(int output) {
    if (output > 0) {
      session.out().println();
    }
  }
}
