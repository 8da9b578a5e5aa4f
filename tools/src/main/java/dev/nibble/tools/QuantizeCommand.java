package dev.nibble.tools;

import dev.nibble.converter.ConversionPlan;
import dev.nibble.converter.ConversionReport;
import dev.nibble.converter.ConversionRequest;
import dev.nibble.converter.Converter;
import dev.nibble.converter.internal.Version;
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
    description = "Quantizes a safetensors or GGUF checkpoint.",
    sortOptions = false,
    customSynopsis = {
      "quantize MODEL (--nf4 | --fp4 | --int8 | --gguf MIX | --scheme S)",
      "                [--skip P]... [-o OUT] [options]"
    },
    footer = {
      "",
      "Examples:",
      "  quantize model.safetensors --nf4 --skip img_mod",
      "  quantize transformer/ --int8 -o transformer-int8/",
      "  quantize transformer/ --gguf Q4_K_M -o model-Q4_K_M.gguf",
      "  quantize model.safetensors --nf4 --scheme 'proj_out=int8' --dry-run"
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
      throw new ParameterException(
          spec.commandLine(),
          "--report shows a result and --dry-run makes none: leave one of them out");
    }
    ConversionRequest request = options.request(dryRun);
    Optional<ReportFile> page = report.map(path -> new ReportFile(spec, path));
    page.ifPresent(ReportFile::requireWritable);
    Converter converter = new Converter();
    ConversionPlan plan = converter.plan(request);
    if (page.isPresent()) {
      page.get().requireFree(plan);
    }
    if (dryRun) {
      show(plan);
      if (Files.exists(plan.target()) && !options.isForced()) {
        session.err().println("note: " + plan.target() + " exists: without --force it is kept");
      }
      return 0;
    }
    ConversionReport result;
    try (ProgressBar bar = new ProgressBar(session, quiet)) {
      result = converter.run(plan, bar, session.interruption().conversion());
    }
    if (page.isPresent()) {
      List<String> arguments = spec.commandLine().getParseResult().originalArgs();
      page.get().write(HtmlReport.of(result, arguments, Version.current()));
    }
    show(result);
    return 0;
  }

  private void show(ConversionPlan plan) throws IOException {
    if (common.json) {
      ReportJson.of(plan).print(session.out());
    } else if (!quiet) {
      new PlanPrinter(session.out(), session.outStyle()).print(plan);
    }
  }

  private void show(ConversionReport result) throws IOException {
    if (common.json) {
      ReportJson.of(result).print(session.out());
    } else if (!quiet) {
      new SummaryPrinter(session.out(), session.outStyle()).print(result, verbose);
    }
  }
}
